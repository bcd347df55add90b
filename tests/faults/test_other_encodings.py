"""Names that are not UTF-8, as old archives and disks have them: taken, or refused at once."""

import dataclasses
import os
import shutil

import numpy as np
import pytest

from fashion_jax.config import ConfigError, default_config, from_nested_dict
from fashion_jax.datasets.building.build import BuildError, build
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import encode_jpeg
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.inference.checkpoints import StoredCheckpoints
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.serving.build_index import build_index
from fashion_jax.training.checkpoints import Checkpoints
from tests.dummy_data import market1501
from tests.inference import cards

LATIN_1 = os.fsdecode("Mode_für_alle".encode("latin-1"))
SHOWN = r"Mode_f\udcfcr_alle"
CARD = dataclasses.replace(cards.CARD, embedding_width=4)
REFUSED = "has a name that is not UTF-8; rename that folder"


@pytest.fixture
def folder(tmp_path):
    """A folder whose name is not UTF-8."""
    (tmp_path / LATIN_1).mkdir()
    return tmp_path / LATIN_1


def test_a_raw_copy_below_such_a_name_is_built(folder, tmp_path):
    market1501.write_dummy_data(folder)
    photo = next((folder / "query").glob("*.jpg"))
    shutil.copy(photo, folder / "query" / f"{LATIN_1}.jpg")
    arguments = ("market1501", tmp_path / "data", folder, ("query", "gallery"))
    report = build(*arguments, progress=False)
    assert report.manual_dir == str(tmp_path / SHOWN)
    assert f"query/{SHOWN}.jpg" in report.problems["misnamed"]
    assert build(*arguments, progress=False) == report
    with pytest.raises(BuildError, match="was built with manual_dir"):
        build("market1501", tmp_path / "data", tmp_path, ("query", "gallery"), progress=False)


def test_results_show_such_names_as_a_terminal_does(tmp_path):
    atomic_write(tmp_path / "a.json", to_json({"folder": LATIN_1, "letters": "ü\\u"}))
    stored = read_json(tmp_path / "a.json", dict[str, str], None, "a result")
    assert stored == {"folder": SHOWN, "letters": "ü\\u"}


@pytest.mark.parametrize(
    "use",
    [
        lambda folder: build("market1501", folder, folder, progress=False),
        lambda folder: open_dataset("market1501", folder),
        StoredCheckpoints,
        Checkpoints,
        Contents,
        lambda folder: build_index(folder.parent, index=folder),
        lambda folder: build_index(folder.parent, index=folder / "new"),
    ],
    ids=["build", "dataset", "checkpoints", "train", "contents", "index", "new index"],
)
def test_a_folder_that_libraries_cannot_open_is_refused_at_once(use, folder):
    with pytest.raises(StorageError, match=REFUSED):
        use(folder)
    assert not list(folder.iterdir())


def test_a_catalogue_is_not_written_below_such_a_name(folder):
    jpeg = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    item = Item("a", "1", "hats", "shop")
    with pytest.raises(StorageError, match=REFUSED):
        Catalogue.write(folder / "index", np.eye(1, 4, dtype="f4"), [item], [jpeg], CARD)
    assert not list(folder.iterdir())


def test_an_index_in_the_place_of_something_else_is_refused_before_anything_is_embedded(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "photo.jpg").touch()
    with pytest.raises(StorageError, match="exists already; choose another name"):
        build_index(tmp_path / "no run", index=tmp_path / "index")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.data_dir", LATIN_1, "'data.data_dir' holds half a surrogate pair"),
        ("training.seed", 2**64, "'training.seed' is a whole number beyond 64 bits"),
        ("optimizer.learning_rate", float("inf"), "'optimizer.learning_rate' is inf"),
    ],
)
def test_what_a_stored_config_cannot_hold_is_refused(field, value, message):
    config = default_config()
    section, name = field.split(".")
    config[section][name] = value
    with pytest.raises(ConfigError, match=message):
        from_nested_dict(config.to_dict())


def test_a_link_in_the_place_of_a_build_is_removed_and_what_it_leads_to_stays(folder, tmp_path):
    (folder / "photo.jpg").touch()
    (tmp_path / "data" / "market1501").mkdir(parents=True)
    (tmp_path / "data" / "market1501" / ".building").symlink_to(folder)
    market1501.write_dummy_data(tmp_path / "raw")
    build("market1501", tmp_path / "data", tmp_path / "raw", ("query", "gallery"), progress=False)
    assert [path.name for path in folder.iterdir()] == ["photo.jpg"]
