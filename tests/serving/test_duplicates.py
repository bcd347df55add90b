"""Duplicates of datasets and catalogues: found, decided on, removed."""

import csv
import hashlib
import json

import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.dataset import Dataset, Split
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.photos import decode_record, encode_thumbnail
from fashion_jax.datasets.records import NO_CAMERA, Domain
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.retrieval.catalogue import Catalogue, Item, ItemTable, Origin
from fashion_jax.retrieval.catalogue.changes import remove_photos
from fashion_jax.serving.duplicates import find_duplicates
from tests.datasets.duplicates.drawn_photos import BLUE, encoded, garment, reencoded
from tests.retrieval.changing_catalogues import CARD, DIMENSIONS
from tests.retrieval.unit_vectors import unit

A, B = encoded(garment(0)), encoded(garment(3))
A_AGAIN = encoded(reencoded(garment(0)))


class DrawnSplit(Split):
    """A split of photos: (file, id, identity)."""

    def __init__(self, name, photos):
        self.name = name
        self.files = [photo[0] for photo in photos]
        self.photo_id = np.array([photo[1] for photo in photos], object)
        self.identity = np.array([photo[2] for photo in photos], np.int64)
        self.domain = np.full(len(photos), Domain.SHOP, np.int8)
        self.category = np.full(len(photos), "tops", object)
        self.camera = np.full(len(photos), NO_CAMERA, np.int32)

    def image_bytes(self, row):
        return self.files[row]


class DrawnDataset(Dataset):
    """A dataset of drawn photos."""

    name, version = "drawn", "1.0.0"

    def __init__(self, **splits):
        self.splits = tuple(splits)
        self.opened = {name: DrawnSplit(name, photos) for name, photos in splits.items()}

    def split(self, name):
        return self.opened[name]


@pytest.fixture
def dataset():
    return DrawnDataset(
        train=[(A, "a", 0), (B, "b", 1), (encoded(garment(3, BLUE)), "twin", 2)],
        query=[(A_AGAIN, "q", 0), (B, "b", 1)],
        gallery=[],
    )


class ConstantModel(EmbeddingModel):
    """A model to which all photos are alike."""

    def __init__(self):
        pass

    def embed_split(self, split, progress=True):
        return np.repeat(unit(np.ones((1, 4))), len(split), axis=0)


def test_leaks_of_a_dataset(dataset, tmp_path):
    found = find_duplicates(dataset, report=tmp_path, progress=False)
    assert found.photos == {"train": 3, "query": 2, "gallery": 0}
    assert [(pair.kind, pair.first.photo_id, pair.second.photo_id) for pair in found.pairs] == [
        ("identical", "b", "b"),
        ("nearly_the_same", "a", "q"),
    ]
    (leak,) = found.leaks
    assert leak.names == ["b", "q"]
    assert (tmp_path / "index.html").read_text().count("<img") == 4


def test_embeddings_find_more(dataset):
    changed = garment(0)
    changed[:30] = 120
    dataset.opened["gallery"] = DrawnSplit("gallery", [(encoded(changed), "g", 0)])
    plain = find_duplicates(dataset, splits=["train", "gallery"], progress=False)
    limits = Limits(similar_hash_distance=40, similar_colour_difference=200.0)
    more = find_duplicates(
        dataset, ["train", "gallery"], ConstantModel(), limits=limits, progress=False
    )
    assert ("a", "g") not in {(each.first.photo_id, each.second.photo_id) for each in plain.pairs}
    assert ("a", "g") in {(each.first.photo_id, each.second.photo_id) for each in more.pairs}
    assert all(pair.cosine == pytest.approx(1) for pair in more.pairs)


@pytest.fixture
def index(tmp_path):
    """A catalogue: a and copy are one file, half a box of it; again is the same picture."""
    photos = {"a": A, "copy": A, "half": A, "again": A_AGAIN, "b": B, "b2": B}
    sources = {"a": A, "copy": A, "half": A}
    items = [Item(name, name[0].upper(), "tops", "shop") for name in photos]
    origins = [
        Origin(
            sha256=hashlib.sha256(sources[name]).hexdigest() if name in sources else None,
            box=Box(0, 0, 90, 90) if name == "half" else None,
        )
        for name in photos
    ]
    pixels = {name: decode_record(file) for name, file in photos.items()}
    pixels["half"] = pixels["half"][:90, :90]
    thumbnails = [encode_thumbnail(image) for image in pixels.values()]
    vectors = unit(np.random.default_rng(0).normal(size=(len(photos), DIMENSIONS)))
    folder = tmp_path / "index"
    Catalogue.write(folder, vectors, ItemTable.of(items, origins), thumbnails, CARD, "exact")
    return folder


def kinds(found):
    return {(pair.first.photo_id, pair.second.photo_id): pair.kind for pair in found.pairs}


def test_an_index_is_searched_by_checksums_and_thumbnails(index):
    assert kinds(find_duplicates(Catalogue.open(index), progress=False)) == {
        ("a", "copy"): "identical",
        ("a", "again"): "nearly_the_same",
        ("b", "b2"): "same_picture",
    }


def test_decisions_go_round(index, tmp_path, capsys):
    report, twice = tmp_path / "report", tmp_path / "twice.txt"
    command = ["index", "duplicates", "--index", str(index), "--report", str(report)]
    assert main(command) == 0
    text = (report / "pairs.csv").read_text("utf-8-sig")
    text = text.replace("a,copy,,", "a,copy,same,").replace("b,b2,,", "b,b2,different,mine")
    (report / "pairs.csv").write_text(text, "utf-8-sig")
    assert main(command) == 2  # would lose them
    assert "would be lost" in capsys.readouterr().err
    decide = ["--decisions", str(report / "pairs.csv"), "--removal_list", str(twice), "--json"]
    assert main([*command, *decide]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["decided"] == {"same": 1, "different": 1}
    with (report / "pairs.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [(row["first"], row["second"], row["decision"]) for row in csv.DictReader(file)]
    assert rows == [("a", "copy", "same"), ("b", "b2", "different"), ("a", "again", "")]
    assert twice.read_text() == "copy\n"
    assert main(["index", "remove", "--index", str(index), "--from", str(twice)]) == 0
    assert list(Catalogue.open(index).items.column("photo_id").to_pylist()) == [
        *("a", "half", "again", "b", "b2")
    ]


def test_a_command_can_fail_on_pairs(index, capsys):
    ask = ["index", "duplicates", "--index", str(index), "--report", "none", "--fail_on"]
    assert main([*ask, "any"]) == 2
    assert "3 pairs in all" in capsys.readouterr().err
    assert main([*ask, "two_products"]) == 2  # a is another product than copy


def test_a_built_dataset_by_command(built, tmp_path, capsys):
    data_dir, _ = built
    command = ["data", "duplicates", "--dataset", "street2shop", "--data_dir", str(data_dir)]
    assert main([*command, "--report", str(tmp_path), "--json", "--splits", "train", "query"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert set(plain["photos"]) == {"train", "query"}
    assert (tmp_path / "index.html").exists()


def test_an_index_with_one_photo_or_none(index):
    remove_photos(index, ["copy", "half", "again", "b", "b2"])
    assert find_duplicates(Catalogue.open(index), progress=False).pairs == []
    remove_photos(index, ["a"])
    assert find_duplicates(Catalogue.open(index), progress=False).pairs == []


def test_a_catalogue_takes_no_model(index):
    with pytest.raises(FashionJaxError, match="leave out both"):
        find_duplicates(Catalogue.open(index), model=ConstantModel())
