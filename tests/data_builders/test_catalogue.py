"""A catalogue from the manifest to the records."""

import json
import random

import numpy as np
import pytest

from fashion_jax.cli import main
from fashion_jax.datasets.building.build import BuildError, build, check
from fashion_jax.datasets.building.options import OptionError
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photo_lists.problems import PhotoListError
from fashion_jax.datasets.records import SPLITS
from fashion_jax.evaluation.embedded import EmbeddedTest
from tests.data_builders.built_records import read_all
from tests.dummy_data import catalogue as dummy_data


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw") / "catalogue"
    dummy_data.write_dummy_data(folder)
    return folder


def places(catalogue, manifest="items.csv"):
    return {"manifest": str(catalogue / manifest), "photos": str(catalogue / "photos")}


@pytest.fixture(scope="module")
def built(catalogue, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, build("catalogue", data_dir, progress=False, **places(catalogue))


@pytest.fixture(scope="module")
def records(built):
    return read_all(built[0], "catalogue")


def of_photo(records, photo):
    return [each for split in records.values() for each in split if each.photo_id == photo]


def write_variant(folder, name, columns, rows=None):
    """The dummy manifest with some of its columns only."""
    rows = dummy_data.manifest_rows() if rows is None else rows
    dummy_data.write_csv(folder / name, rows, columns)
    return str(folder / name)


def test_counts(built):
    _, report = built
    assert report.counts["photos"] == {
        **{"expected": 101, "found": 100, "missing": 1, "empty": 1, "truncated": 1},
        **{"not_an_image": 1, "unsupported_format": 0, "too_large": 0},
        **{"unreadable": 0, "usable": 97},
    }
    boxes = {defect: count for defect, count in report.counts["boxes"].items() if count}
    assert boxes == {"empty": 1, "outside": 1, "clipped": 1, "tiny": 1}
    assert list(report.categories) == ["coats", "dresses", "hats"]


def test_every_defect_is_listed(built):
    _, report = built
    assert report.problems == {
        "box_clipped": ["street/P-010-1.jpg"],
        "box_empty": ["street/P-008-1.jpg"],
        "box_outside": ["street/P-009-1.jpg"],
        "box_tiny": ["street/P-011-1.jpg"],
        "empty": ["street/P-003-1.jpg"],
        "missing": ["street/P-002-1.jpg"],
        "not_an_image": ["shop/P-007-1.jpg"],
        "repeated_row": ["shop/P-012-1.jpg"],
        "truncated": ["shop/P-003-2.jpg"],
        "column_not_in_records": ["price"],
    }


def test_splits_have_their_shares_of_the_products(records):
    names = {split: {record.identity for record in each} for split, each in records.items()}
    # 97 usable photos, one of them with two products.
    assert sum(map(len, records.values())) == 98
    # 20 % of the 24 whole products, and the one without a shop photo; 5 % of the other 19.
    assert len(names["query"]) == 5 + 1
    assert len(names["gallery"]) == 5 + 2
    assert len(names["val_query"]) == 1


def test_two_products_on_one_photo_are_two_records(records):
    both = of_photo(records, dummy_data.SHARED_PHOTO)
    assert len({each.identity for each in both}) == 2
    assert sorted(each.image.shape for each in both) == [(20, 15, 3), (41, 30, 3)]


def test_cameras_and_categories(records):
    (first,), (second,) = (of_photo(records, f"street/P-005-{which}.jpg") for which in (1, 2))
    assert (first.camera, second.camera) == (2, -1)
    assert first.category == "hats"


def test_parquet_gives_the_same_bytes(catalogue, built, tmp_path):
    report = build("catalogue", tmp_path, progress=False, **places(catalogue, "items.parquet"))
    assert report.counts == built[1].counts
    assert_same_files(built[0], tmp_path)


def test_shuffled_rows_give_the_same_bytes(catalogue, built, tmp_path):
    rows = dummy_data.manifest_rows()
    random.Random(0).shuffle(rows)
    variant = write_variant(tmp_path, "items.csv", dummy_data.COLUMNS, rows)
    options = {**places(catalogue), "manifest": variant}
    build("catalogue", tmp_path / "data", progress=False, threads=1, **options)
    assert_same_files(built[0], tmp_path / "data")


def assert_same_files(data_dir, other):
    paths = sorted((data_dir / "catalogue" / "1.0.0").glob("*.array_record*"))
    assert len(paths) == len(SPLITS)
    for path in paths:
        assert (other / "catalogue" / "1.0.0" / path.name).read_bytes() == path.read_bytes()


def test_finished_dataset_is_left_alone_by_relative_paths(catalogue, built, monkeypatch):
    data_dir, report = built
    monkeypatch.setattr(
        "fashion_jax.datasets.building.build._prepare", lambda builder: pytest.fail("again")
    )
    monkeypatch.chdir(catalogue)
    assert build("catalogue", data_dir, manifest="items.csv", photos="photos") == report


def test_a_changed_manifest_is_another_dataset(catalogue, tmp_path):
    manifest = tmp_path / "items.csv"
    manifest.write_bytes((catalogue / "items.csv").read_bytes())
    options = {**places(catalogue), "manifest": str(manifest), "progress": False}
    build("catalogue", tmp_path / "data", **options)
    manifest.write_bytes(manifest.read_bytes().replace(b"coats", b"parka"))
    with pytest.raises(BuildError, match=r"manifest_sha256 .* instead of .*--overwrite"):
        build("catalogue", tmp_path / "data", **options)
    report = build("catalogue", tmp_path / "data", overwrite=True, **options)
    assert list(report.categories) == ["dresses", "hats", "parka"]


def test_without_domains_a_photo_asks_for_all_others(catalogue, tmp_path):
    variant = write_variant(tmp_path, "items.csv", ["photo", "identity"], whole_products())
    options = {**places(catalogue), "manifest": variant}
    build("catalogue", tmp_path / "data", progress=False, **options)
    built = open_dataset("catalogue", tmp_path / "data")
    query, gallery = built.split("query"), built.split("gallery")
    assert [*query.photo_id.tolist(), "street/P-027-1.jpg"] == gallery.photo_id.tolist()
    assert (
        built.split("val_query").photo_id.tolist() == built.split("val_gallery").photo_id.tolist()
    )
    # Embeddings that know the product, but not the photo: all but the query itself come first.
    assert rank(query, gallery, gallery.identity)["instance/mAP"] == 1.0
    # Embeddings that know the photo only: what would find itself finds others by chance.
    assert rank(query, gallery, np.arange(len(gallery)))["instance/Acc@1"] < 1


def rank(query, gallery, places):
    """Metrics of embeddings along one axis a place."""
    embeddings = np.eye(int(places.max()) + 1, dtype=np.float32)[places]
    test = EmbeddedTest(query, gallery, embeddings[: len(query)], embeddings)
    return test.rank("instance").metrics()


def whole_products():
    """Rows of undamaged photos, one product each."""
    wrong = {dummy_data.MISSING, *dummy_data.DAMAGE, dummy_data.SHARED_PHOTO}
    return [row for row in dummy_data.manifest_rows() if row["photo"] not in wrong]


def test_given_splits(catalogue, tmp_path):
    # P-001 is trained on, the next two products ask for each other's kind, P-013 validates.
    split_of = {"P-001": "train", "P-013": "val_gallery"}
    rows = [
        {**row, "split": "query" if row["domain"] == "street" else "gallery"}
        | ({"split": split_of[row["identity"]]} if row["identity"] in split_of else {})
        for row in whole_products()
        if row["identity"] in ("P-001", "P-005", "P-013", "P-014")
    ]
    variant = write_variant(tmp_path, "items.csv", ["split", "photo", "identity"], rows)
    options = {**places(catalogue), "manifest": variant}
    report = check("catalogue", progress=False, **options)
    photos = {split: each["photos"] for split, each in report.counts["splits"].items()}
    assert photos == {"train": 4, "query": 4, "gallery": 4, "val_query": 0, "val_gallery": 4}
    assert "EMPTY SPLITS, refused by a build: val_query" in report.to_table()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, OptionError, "catalogue needs --manifest"),
        ({"manifest": "items.csv", "manual_dir": "."}, OptionError, "instead of --manual_dir"),
        ({"manifest": "items.csv", "photo": "."}, OptionError, r"did you mean .photos.\?"),
        ({"manifest": "items.csv", "test_fraction": 1}, OptionError, r"number in 0\.\.0\.9"),
        (
            {"manifest": "wrong.csv", "photos": "."},
            PhotoListError,
            r"wrong\.csv: column photo is",
        ),
    ],
)
def test_wrong_options(catalogue, tmp_path, monkeypatch, options, error, message):
    (tmp_path / "items.csv").write_bytes((catalogue / "items.csv").read_bytes())
    (tmp_path / "wrong.csv").write_text("name\nx\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        check("catalogue", progress=False, **options)


def test_command_line(catalogue, tmp_path, capsys):
    arguments = ["data", "build", "--dataset", "catalogue", "--data_dir", str(tmp_path), "--json"]
    arguments += ["--manifest", str(catalogue / "items.csv")]
    assert main([*arguments, "--photos", str(catalogue)]) == 2
    assert "no photo found" in capsys.readouterr().err
    assert main([*arguments, "--photos", str(catalogue / "photos"), "--option.seed=3"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["photos"]["usable"] == 97
    assert report["options"]["seed"] == 3
    assert report["options"]["photos"] == str(catalogue / "photos")


def test_places_of_a_catalogue_are_for_no_other_dataset(capsys):
    arguments = ["data", "check", "--dataset", "street2shop", "--manifest", "items.csv"]
    assert main(arguments) == 2
    assert "street2shop takes --manual_dir" in capsys.readouterr().err
