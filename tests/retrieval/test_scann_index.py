import json
import pathlib
import shutil

import numpy as np
import pytest

from fashion_jax.files import StorageError
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.scann_index import SCHEMA, ScannError, ScannIndex, ScannSettings
from tests.retrieval.no_scann import hide_scann
from tests.retrieval.unit_vectors import clustered

DIMENSIONS = 32
QUERIES = clustered(20, DIMENSIONS, 50, seed=1)
SETTINGS = {
    "small": ScannSettings(hashed=False),
    "hashed": ScannSettings(),
    "partitioned": ScannSettings(leaves=20, leaves_to_search=6),
}


@pytest.fixture(scope="module")
def gallery():
    return clustered(1000, DIMENSIONS, 50)


@pytest.fixture(scope="module", params=SETTINGS)
def index(request, gallery):
    return ScannIndex.build(gallery, SETTINGS[request.param])


@pytest.mark.parametrize(
    ("rows", "hashed", "leaves"),
    [(1, False, 0), (1999, False, 0), (2000, True, 0), (99_999, True, 0), (400_000, True, 632)],
)
def test_settings_follow_the_gallerys_size(rows, hashed, leaves):
    settings = ScannSettings.for_rows(rows)
    settings.check(rows)
    assert (settings.hashed, settings.leaves) == (hashed, leaves)


def test_recall_of_the_settings_that_a_size_gets():
    gallery, queries = clustered(5000, 64, 500), clustered(100, 64, 500, seed=1)
    index = ScannIndex.build(gallery)
    assert index.settings.hashed
    rows = index.search(queries, 10).rows
    exact = ExactIndex(gallery).search(queries, 10).rows
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows, exact, strict=True)])
    assert recall >= 0.95


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        (15, ScannSettings(), "15 rows are too few to hash"),
        (100, ScannSettings(leaves=101, leaves_to_search=1), "leaves is 101.*100 rows"),
        (100, ScannSettings(leaves=-1), "leaves is -1"),
        (
            100,
            ScannSettings(leaves=10),
            "leaves_to_search is 0.*between 1 and the number of leaves, 10",
        ),
        (100, ScannSettings(leaves=10, leaves_to_search=11), "leaves_to_search is 11"),
        (100, ScannSettings(leaves_to_search=1), "leaves_to_search is 1"),
        (100, ScannSettings(reorder=0), "reorder is 0"),
    ],
)
def test_settings_that_scann_cannot_build_are_refused(rows, settings, message):
    with pytest.raises(ScannError, match=message):
        ScannIndex.build(clustered(rows, 8, 5), settings)


@pytest.mark.parametrize("rows", [16, 17, 40])
def test_as_many_leaves_as_rows_are_fine(rows):
    gallery = clustered(rows, 8, 5)
    index = ScannIndex.build(gallery, ScannSettings(leaves=rows, leaves_to_search=1))
    assert index.search(gallery, rows).rows.shape == (rows, rows)


def test_more_neighbours_than_the_searched_leaves_hold(gallery):
    # ScaNN alone would fill up with row 0 and NaN.
    index = ScannIndex.build(gallery, ScannSettings(leaves=100, leaves_to_search=1, reorder=5))
    found = index.search(QUERIES, 60)
    assert np.isfinite(found.scores).all()
    assert all(len(set(rows)) == 60 for rows in found.rows)


def test_saved_and_loaded_answers_are_the_same(index, tmp_path):
    index.save(tmp_path / "new" / "folder")
    loaded = ScannIndex.load(tmp_path / "new" / "folder")
    assert (len(loaded), loaded.dimensions) == (len(index), index.dimensions)
    assert loaded.settings == index.settings
    found, expected = loaded.search(QUERIES, 10), index.search(QUERIES, 10)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_moved_index_loads(index, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    index.save("before")
    shutil.move("before", tmp_path / "after")
    loaded = ScannIndex.load("after")
    np.testing.assert_array_equal(loaded.search(QUERIES, 3).rows, index.search(QUERIES, 3).rows)


def test_nothing_is_left_beside_a_saved_index(index, tmp_path):
    index.save(tmp_path / "index")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_taken_name_is_refused(index, tmp_path):
    (tmp_path / "mine.txt").write_text("important")
    with pytest.raises(StorageError, match="exists already"):
        index.save(tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "important"


def test_damaged_files_are_named(index, tmp_path):
    index.save(tmp_path / "index")
    files = json.loads((tmp_path / "index" / "scann_index.json").read_text())["files"]
    assert "scann_config.pb" in files
    for name in files:
        path = tmp_path / "index" / name
        good = path.read_bytes()
        path.write_bytes(good[:-1])
        with pytest.raises(StorageError, match=f"wrong checksum {name}"):
            ScannIndex.load(tmp_path / "index")
        path.unlink()
        with pytest.raises(StorageError, match=f"missing {name}"):
            ScannIndex.load(tmp_path / "index")
        path.write_bytes(good)
    ScannIndex.load(tmp_path / "index")


@pytest.mark.parametrize("folder", ["nowhere", "."])
def test_a_folder_without_an_index_is_named(tmp_path, folder):
    with pytest.raises(StorageError, match=r"is not a ScaNN index: it has no scann_index\.json"):
        ScannIndex.load(tmp_path / folder)


def test_an_index_of_another_version_is_refused(index, tmp_path):
    index.save(tmp_path / "index")
    path: pathlib.Path = tmp_path / "index" / "scann_index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 1}))
    with pytest.raises(StorageError, match=f"schema 1; this version of fashion-jax reads {SCHEMA}"):
        ScannIndex.load(tmp_path / "index")


def test_a_stray_pickle_is_never_opened(index, tmp_path):
    index.save(tmp_path / "index")
    (tmp_path / "index" / "scann_docids.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(StorageError, match=r"scann_docids\.pkl does not belong"):
        ScannIndex.load(tmp_path / "index")


def test_without_scann_the_error_says_what_to_do(monkeypatch):
    hide_scann(monkeypatch)
    with pytest.raises(ScannError, match="Use the exact index instead"):
        ScannIndex.build(clustered(20, 8, 5))


def test_searched_more_thoroughly_it_finds_more():
    # Without clusters, no leaf can hold all that is near.
    gallery, queries = clustered(1000, DIMENSIONS, 1000), clustered(100, DIMENSIONS, 1000, seed=1)
    index = ScannIndex.build(gallery, ScannSettings(leaves=100, leaves_to_search=1, reorder=10))
    exact = ExactIndex(gallery).search(queries, 10).rows

    def found(searched):
        return (searched.search(queries, 10).rows == exact).sum()

    thorough = index.searched_with(reorder=1000, leaves_to_search=100)
    assert found(index) < found(thorough) == exact.size
    assert found(thorough.searched_with(10, 1)) == found(index)


@pytest.mark.parametrize(("reorder", "leaves"), [(0, 5), (10, 0), (10, 21)])
def test_search_settings_that_do_not_fit_are_refused(gallery, reorder, leaves):
    index = ScannIndex.build(gallery, SETTINGS["partitioned"])
    with pytest.raises(ScannError):
        index.searched_with(reorder, leaves)
