"""Photos where they lie: files, and rows of built datasets."""

import hashlib
import shutil

import pytest

from fashion_jax.datasets.dataset import BuiltDataset, BuiltSplit, open_dataset
from fashion_jax.datasets.photos import UndecodablePhotoError, decode_photo, decode_record
from fashion_jax.serving.build_index import items_of
from fashion_jax.serving.photo_sources import LostPhotoError, PhotoSources, dataset_source


@pytest.fixture
def gallery(tiny_config):
    return open_dataset(tiny_config.data.dataset, tiny_config.data.data_dir).split("gallery")


def test_a_file(tmp_path, gallery):
    path = tmp_path / "a.jpg"
    path.write_bytes(gallery.image_bytes(0))
    sources = PhotoSources()
    sources.look(str(path), "anything")
    pixels, facts = sources.read(str(path), "anything")
    assert (pixels == decode_photo(path.read_bytes())).all()
    assert (facts.size, facts.mtime_ns) == (path.stat().st_size, path.stat().st_mtime_ns)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_rows_of_a_dataset_whose_split_is_opened_once(gallery, monkeypatch):
    opened = []
    split = BuiltDataset.split
    monkeypatch.setattr(
        BuiltDataset, "split", lambda self, name: opened.append(name) or split(self, name)
    )
    sources, table = PhotoSources(), items_of(gallery)
    for row in (0, 3, 2):
        origin, name = table.origin(row), table[row].photo_id
        sources.look(origin.source, name)
        pixels, facts = sources.read(origin.source, name)
        content = gallery.image_bytes(row)
        assert (pixels == decode_record(content)).all()
        assert facts == (hashlib.sha256(content).hexdigest(), len(content), None)
    assert opened == ["gallery"]


@pytest.mark.parametrize(
    ("change", "defect"),
    [
        ({"folder": "/nowhere/shop/1.0.0"}, "in /nowhere/shop/1.0.0, whose split gallery cannot"),
        ({"split": "nothing"}, "whose split nothing cannot be opened"),
        ({"row": 10_000}, "no longer in its row of"),
        ({"row": -1}, "no longer in its row of"),
        ({"row": 1}, "no longer in its row of"),
    ],
)
def test_photos_that_are_not_in_their_dataset(gallery, change, defect):
    place = {"folder": gallery.directory, "split": "gallery", "row": 0} | change
    for ask in (PhotoSources().look, PhotoSources().read):
        with pytest.raises(LostPhotoError, match=defect):
            ask(dataset_source(**place), gallery.photo_id[0])


def test_a_damaged_record_is_the_defect_of_its_photo(gallery, monkeypatch):
    source = dataset_source(gallery.directory, "gallery", 0)
    monkeypatch.setattr(BuiltSplit, "image_bytes", lambda split, row: b"")
    with pytest.raises(LostPhotoError, match="damaged in its dataset"):
        PhotoSources().read(source, gallery.photo_id[0])


def test_places_of_files(tmp_path, gallery):
    sources = PhotoSources()
    with pytest.raises(LostPhotoError, match="not at its place"):
        sources.look(str(tmp_path / "gone.jpg"), "gone.jpg")
    with pytest.raises(UndecodablePhotoError, match="unreadable"):
        sources.read(str(tmp_path / "gone.jpg"), "gone.jpg")
    for ask in (sources.look, sources.read):
        with pytest.raises(LostPhotoError, match="of unknown origin"):
            ask("", "a.jpg")


def test_a_dataset_that_vanishes_is_a_defect(gallery, tmp_path):
    copy = tmp_path / "synthetic_street2shop" / "1.0.0"
    shutil.copytree(gallery.directory, copy)
    source, name = dataset_source(str(copy), "gallery", 0), gallery.photo_id[0]
    PhotoSources().look(source, name)
    shutil.rmtree(copy)
    with pytest.raises(LostPhotoError, match="cannot be opened"):
        PhotoSources().look(source, name)
