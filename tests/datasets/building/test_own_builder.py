"""A builder of one's own, as the documentation of `building/base.py` has it."""

import re
from importlib import metadata

import pytest
from tensorflow_datasets.core import registered

from fashion_jax.cli import main
from fashion_jax.datasets.building import base
from fashion_jax.datasets.building.build import build, builder_class, check
from fashion_jax.datasets.building.plan import BuildPlan, PlannedItem
from fashion_jax.datasets.building.raw_copy import PhotoTree
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.records import Domain
from fashion_jax.errors import FashionJaxError
from tests.dummy_data.dummy_photos import soft_pattern, write_photo


@pytest.fixture(scope="module")
def my_shop():
    """The class in the documentation."""
    (example,) = re.findall(r"```python\n(.*?)```", base.__doc__, re.DOTALL)
    names = {"Domain": Domain, "PlannedItem": PlannedItem, "PhotoTree": PhotoTree}
    names |= {"BuildPlan": BuildPlan, "RetrievalBuilder": base.RetrievalBuilder}
    names["__name__"] = __name__
    with registered.skip_registration():  # docs/extend.md has a class of that name as well
        exec(example, names)
    return names["MyShop"]


@pytest.fixture
def photos(tmp_path):
    for number, name in enumerate(("7-1", "7-2", "7-3", "8-2")):
        write_photo(tmp_path / "raw" / f"{name}.jpg", soft_pattern(number, 20, 30))
    return tmp_path / "raw"


def test_a_class_is_checked_and_built_without_an_entry_point(my_shop, photos, tmp_path):
    report = check(my_shop, photos, progress=False)
    assert report.dataset == "my_shop"
    assert "EMPTY SPLITS, refused by a build: train, val_query" in report.to_table()
    splits = ("query", "gallery")
    built = build(my_shop, tmp_path / "data", photos, splits=splits, progress=False)
    assert built.counts["splits"]["gallery"] == {"photos": 3, "identities": 2}
    assert built.counts["distractor_identities"] == 1
    dataset = open_dataset("my_shop", tmp_path / "data")
    assert dataset.split("query").photo_id.tolist() == ["7-1.jpg"]
    assert dataset.split("gallery").photo_id.tolist() == ["7-2.jpg", "7-3.jpg", "8-2.jpg"]
    assert builder_class(my_shop) is my_shop


def test_an_entry_point_gives_it_a_name(my_shop, photos, monkeypatch, capsys):
    class Entry:
        name = "my_shop"

        @staticmethod
        def load():
            return my_shop

    class Entries(list):
        names = frozenset({"my_shop", "street2shop"})

    monkeypatch.setattr(metadata, "entry_points", lambda group, name="": Entries([Entry()]))
    arguments = ["--dataset", "my_shop", "--manual_dir", str(photos), "--contact_sheet", "none"]
    assert main(["data", "check", *arguments]) == 0
    assert "my_shop 1.0.0 from" in capsys.readouterr().out


def test_a_missing_split_is_an_empty_one(my_shop, photos, tmp_path):
    with pytest.raises(FashionJaxError, match="split train, val_query, val_gallery has no photo"):
        build(my_shop, tmp_path / "data", photos, progress=False)


def test_a_builder_with_instructions_needs_a_raw_copy():
    with pytest.raises(FashionJaxError, match="market1501 needs --manual_dir"):
        check("market1501", progress=False)
