"""Descriptions by `index info`."""

import json

import msgspec
import pytest

from fashion_jax.files import StorageError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue import info as info_module
from fashion_jax.retrieval.catalogue.changes import add_photos, remove_photos
from fashion_jax.retrieval.catalogue.info import catalogue_info
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.test_live_index import HASHED, rows


@pytest.fixture
def folder(tmp_path):
    Catalogue.write(tmp_path / "index", *rows(0, 60), CARD)
    return tmp_path / "index"


def test_counts_and_sizes(folder):
    add_photos(folder, *rows(60, 100), CARD)
    remove_photos(folder, ["photo 0", "photo 1", "photo 2", "photo 99"])
    info = catalogue_info(folder)
    assert (info.photos, info.removed, info.kind, info.card) == (96, 4, "auto", CARD)
    assert info.products == 32
    assert info.categories == {"dresses": 32, "skirts": 32, "tops": 32}
    counts = [(segment.photos, segment.removed, segment.index) for segment in info.segments]
    assert counts == [(57, 3, "exact"), (39, 1, "exact")]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert info.bytes == sum(path.stat().st_size for path in files)
    assert info.advice == []


def test_as_text_and_as_json(folder):
    text = catalogue_info(folder).to_table()
    for word in ("60", "dresses 20", "resnet50, trained on street2shop", "exhaustive"):
        assert word in text
    values = json.loads(json.dumps(msgspec.to_builtins(catalogue_info(folder))))
    assert values["card"]["weights_hash"] == CARD.weights_hash
    assert values["segments"][0]["photos"] == 60


@pytest.mark.scann
def test_scanns_settings_are_shown(tmp_path):
    Catalogue.write(tmp_path / "index", *rows(0, HASHED), CARD, "scann")
    info = catalogue_info(tmp_path / "index")
    assert info.segments[0].settings.hashed
    assert "reorder 150" in info.to_table()
    assert any("never tuned" in advice for advice in info.advice)


def test_advice_to_compact(folder, monkeypatch):
    remove_photos(folder, [f"photo {i}" for i in range(13)])
    assert "13 removed photos" in "".join(catalogue_info(folder).advice)
    monkeypatch.setattr(info_module, "FASTER_FROM", 87)
    add_photos(folder, *rows(60, 100), CARD)
    assert "87 photos of 2 segments are searched exactly" in "".join(catalogue_info(folder).advice)


def test_an_empty_catalogue(folder):
    remove_photos(folder, [f"photo {i}" for i in range(60)])
    info = catalogue_info(folder)
    assert (info.photos, info.products, info.segments) == (0, 0, [])
    assert "photos" in info.to_table()


@pytest.mark.parametrize("name", ["embeddings.npy", "thumbnails.array_record"])
def test_damage_is_found(folder, name):
    (path,) = folder.glob(f"data-*/{name}")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StorageError, match=f"wrong checksum {name}"):
        catalogue_info(folder)


@pytest.mark.scann
def test_damage_of_scanns_files_is_found(tmp_path):
    Catalogue.write(tmp_path / "index", *rows(0, 60), CARD, "scann")
    (path,) = tmp_path.glob("index/data-*/scann/dataset.npy")
    path.write_bytes(b"x")
    with pytest.raises(StorageError, match=r"wrong checksum dataset\.npy"):
        catalogue_info(tmp_path / "index")
