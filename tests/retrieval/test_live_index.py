"""Searches over several segments, with removed rows, by category, and without ScaNN."""

import json
import shutil

import numpy as np
import pytest

from fashion_jax.retrieval import make_index
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.changes import add_photos, compact, remove_photos
from fashion_jax.retrieval.exact import ExactIndex
from tests.retrieval.changing_catalogues import CARD, CATEGORIES, DIMENSIONS
from tests.retrieval.no_scann import hide_scann
from tests.retrieval.unit_vectors import clustered

HASHED, ADDED = 2500, 300
EMBEDDINGS = clustered(HASHED + ADDED, DIMENSIONS, 60)
QUERIES = clustered(30, DIMENSIONS, 60, seed=1)
ITEMS = [
    Item(f"photo {row}", str(row // 3), CATEGORIES[row % 3], "shop")
    for row in range(len(EMBEDDINGS))
]
THUMBNAIL = b"\xff\xd8\xff"


def rows(first, last):
    return EMBEDDINGS[first:last], ITEMS[first:last], [THUMBNAIL] * (last - first)


def indexes(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    return [part["index"] for part in manifest["segments"]]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A large segment with ScaNN's hashes and a smaller one."""
    folder = tmp_path_factory.mktemp("built") / "index"
    Catalogue.write(folder, *rows(0, HASHED), CARD, "scann")
    add_photos(folder, *rows(HASHED, HASHED + ADDED), CARD)
    return folder


@pytest.fixture
def folder(built, tmp_path):
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def recall(catalogue, k):
    """Share of the exact answers that are found; every answer is checked for what it says."""
    exact = ExactIndex(catalogue.embeddings).search(QUERIES, k)
    found, items = 0, list(catalogue.items)
    for hits, row_of in zip(catalogue.search(QUERIES, k, CARD), exact.rows, strict=True):
        assert len({hit.row for hit in hits}) == min(k, len(catalogue))
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
        assert all(hit.item == items[hit.row] for hit in hits)
        found += len({hit.row for hit in hits} & set(row_of.tolist()))
    return found / exact.rows.size


@pytest.mark.slow
def test_answers_of_all_segments_are_merged(folder):
    catalogue = Catalogue.open(folder)
    assert indexes(folder) == ["scann", "scann"]
    assert recall(catalogue, 10) > 0.95
    assert recall(catalogue, len(ITEMS) + 1) == 1.0
    found = {hit.row >= HASHED for hits in catalogue.search(QUERIES, 20, CARD) for hit in hits}
    assert found == {True, False}


@pytest.mark.slow
def test_the_nearest_are_removed(folder):
    # Just what ScaNN would answer with: the places of removed rows are filled by others.
    nearest = ExactIndex(EMBEDDINGS).search(QUERIES[:3], 200).rows
    remove_photos(folder, {ITEMS[row].photo_id for row in nearest.ravel().tolist()})
    catalogue = Catalogue.open(folder)
    assert len(catalogue) == len(ITEMS) - len(np.unique(nearest))
    for k in (1, 10, 300):
        assert recall(catalogue, k) > 0.95


def test_nearly_all_are_removed(folder):
    remove_photos(folder, [item.photo_id for item in ITEMS[3:]])
    assert recall(Catalogue.open(folder), 10) == 1.0


@pytest.mark.parametrize("names", [["skirts"], ["skirts", "tops"], ["dresses"]])
def test_a_search_among_few_photos_is_exact(folder, names):
    remove_photos(folder, [item.photo_id for item in ITEMS[::7]])
    catalogue = Catalogue.open(folder)
    allowed = [row for row, item in enumerate(catalogue.items) if item.category in names]
    expected = ExactIndex(catalogue.embeddings[allowed]).search(QUERIES, 15)
    answers = catalogue.search(QUERIES, 15, CARD, f"category in {','.join(names)}")
    found = [[hit.row for hit in hits] for hits in answers]
    assert found == np.array(allowed)[expected.rows].tolist()
    np.testing.assert_allclose([[h.score for h in hits] for hits in answers], expected.scores)


def test_a_category_has_fewer_photos_than_answers_wanted(folder):
    remove_photos(folder, [item.photo_id for item in ITEMS[4:]])
    (hits,) = Catalogue.open(folder).search(QUERIES[:1], 10, CARD, "category=dresses")
    assert sorted(hit.item.photo_id for hit in hits) == ["photo 0", "photo 3"]


@pytest.mark.scann
def test_auto_takes_scann_from_the_size_where_it_is_faster(tmp_path, monkeypatch):
    monkeypatch.setattr(make_index, "FASTER_FROM", 2000)
    Catalogue.write(tmp_path / "index", *rows(0, HASHED), CARD)
    add_photos(tmp_path / "index", *rows(HASHED, HASHED + ADDED), CARD)
    assert indexes(tmp_path / "index") == ["scann", "exact"]
    catalogue = Catalogue.open(tmp_path / "index")
    assert catalogue.kind == "auto"
    assert recall(catalogue, 10) > 0.95


@pytest.mark.scann
def test_where_scann_has_no_wheel_exact_search_takes_over(folder, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        hide_scann(patch)
        catalogue = Catalogue.open(folder)
        assert "2500 photos are searched exactly: ScaNN cannot be imported" in caplog.text
        assert recall(catalogue, 10) == 1.0
        compact(folder)
        assert "2800 photos get an exact index" in caplog.text
        assert indexes(folder) == ["exact"]
    assert compact(folder).changed  # with ScaNN there is something to do again
    assert indexes(folder) == ["scann"]
