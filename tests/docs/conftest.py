"""A folder with a little of everything that the pages' snippets ask for."""

import contextlib
import dataclasses
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.models.backbones import BACKBONES
from tests.dummy_data import catalogue, street2shop
from tests.e2e.untrained_run import write_untrained_run

DATASET = "synthetic_street2shop"


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, tiny_data_dir, tiny_config) -> pathlib.Path:
    """Files that a user has before a snippet, under the names on the pages.

    data/            the built demo dataset
    runs/a/          a run with a model and an index
    runs/b/          a run with another model
    embeddings/      what `fashion-jax embed` wrote
    photos/          photos of garments; photo.jpg: one more
    items.csv, my_photos/    a catalogue's list and photos, with usual defects
    my_shop_photos/  photos named PRODUCT-NUMBER.jpg
    RAW/             a raw copy of Street2Shop
    """
    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(tiny_data_dir, folder / "data")
    data = dataclasses.replace(tiny_config.data, data_dir="data")
    config = dataclasses.replace(tiny_config, data=data)
    write_untrained_run(config, folder / "runs" / "a")
    write_untrained_run(config, folder / "runs" / "b", seed=1)
    _write_photos(folder)
    catalogue.write_dummy_data(folder / "catalogue")
    (folder / "catalogue" / "items.csv").rename(folder / "items.csv")
    (folder / "catalogue" / "photos").rename(folder / "my_photos")
    street2shop.write_dummy_data(folder / "RAW")
    with contextlib.chdir(folder):
        assert main(["index", "build", "--workdir", "runs/a"]) == 0
        assert main(["embed", "--workdir", "runs/a", "--output", "embeddings"]) == 0
    return folder


def _write_photos(folder: pathlib.Path) -> None:
    query = open_dataset(DATASET, folder / "data").split("query")
    for name in ("photos", "my_shop_photos"):
        (folder / name).mkdir()
    for row in range(4):
        photo = query.image_bytes(row)
        (folder / "photos" / f"{row}.jpg").write_bytes(photo)
        (folder / "my_shop_photos" / f"{row // 2}-{row % 2 + 1}.jpg").write_bytes(photo)
    (folder / "photo.jpg").write_bytes(query.image_bytes(4))


@pytest.fixture
def workspace(prepared, tmp_path, monkeypatch) -> Iterator[pathlib.Path]:
    """A copy of `prepared` of one's own, as the working directory; registers nothing for good."""
    shutil.copytree(prepared, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    backbones = dict(BACKBONES)
    yield tmp_path / "work"
    BACKBONES.clear()
    BACKBONES.update(backbones)
