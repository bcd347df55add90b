"""Curves of recall and speed: what is measured, what is chosen, what stays."""

import dataclasses
import shutil

import numpy as np
import pytest
from PIL import Image

from fashion_jax.files import parse_json, to_json
from fashion_jax.retrieval import scann_tuning
from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError
from fashion_jax.retrieval.catalogue.changes import (
    add_photos,
    compact,
    remove_photos,
    set_search_settings,
)
from fashion_jax.retrieval.catalogue.info import catalogue_info
from fashion_jax.retrieval.catalogue.manifest import Manifest, SearchSettings
from fashion_jax.retrieval.catalogue.tuning_file import read_tunings
from fashion_jax.retrieval.index import Neighbours
from fashion_jax.retrieval.scann_index import ScannIndex, ScannSettings
from fashion_jax.retrieval.scann_tuning import (
    Point,
    Tuning,
    TuningQueries,
    choose,
    fastest,
    gallery_queries,
    measure,
)
from fashion_jax.serving.tune_index import tune
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.test_live_index import ADDED, EMBEDDINGS, HASHED, QUERIES, THUMBNAIL, rows
from tests.retrieval.unit_vectors import clustered

PARTITIONED = ScannSettings(leaves=40, leaves_to_search=4)
POINTS = [Point(50, 1, 0.7, 900.0), Point(50, 9, 0.991, 400.0), Point(100, 9, 0.995, 500.0)]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "index"
    Catalogue.write(folder, *rows(0, HASHED), CARD, "scann")
    return folder


@pytest.fixture
def folder(built, tmp_path):
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


@pytest.mark.parametrize(
    ("wanted", "speed"), [(0.5, 900.0), (0.99, 500.0), (0.992, 500.0), (0.996, None)]
)
def test_the_fastest_that_is_good_enough_is_chosen(wanted, speed):
    chosen = choose(POINTS, wanted)
    assert (chosen and chosen.queries_per_second) == speed


def test_points_that_are_beaten_are_not_on_the_front():
    assert fastest(POINTS) == [POINTS[0], POINTS[2]]


def test_recall_counts_answers_as_near_as_the_exact_ones():
    truth = Neighbours(np.array([[1, 2], [3, 4]], np.int32), np.array([[0.9, 0.8]] * 2, np.float32))
    scores = np.array([[0.9, 0.8], [0.8, 0.7]], np.float32)  # row 9 is a copy of row 2
    found = Neighbours(np.array([[1, 9], [4, 5]], np.int32), scores)
    assert scann_tuning._recall(found, truth) == 0.75


@pytest.mark.scann
def test_a_query_of_the_gallery_is_no_answer_to_itself():
    gallery = clustered(50, 8, 5)
    queries = gallery_queries(gallery, 7)
    index = ScannIndex.build(gallery)
    found = scann_tuning._answers(index, queries, 49)
    for own, answers in zip(queries.own_rows, found.rows, strict=True):
        assert sorted([*answers, own]) == list(range(50))


def test_more_queries_than_rows_are_all_rows():
    queries = gallery_queries(clustered(50, 8, 5), 1000)
    assert queries.own_rows.tolist() == list(range(50))


@pytest.mark.scann
def test_the_curve_of_a_partitioned_index():
    gallery = clustered(4000, 16, 300)
    index = ScannIndex.build(gallery, PARTITIONED)
    seen = []
    tuning = measure(index, gallery, gallery_queries(gallery, 200), 0.9, 5, seen.append)
    assert seen == tuning.points
    assert (tuning.rows, tuning.leaves, tuning.k, tuning.queries) == (4000, 40, 5, 200)
    recalls = {(p.reorder, p.leaves_to_search): p.recall for p in tuning.points}
    assert len({p.leaves_to_search for p in tuning.points}) > 2
    assert recalls[25, 1] < 0.9 < max(recalls.values())
    assert tuning.chosen in tuning.points
    assert tuning.chosen.recall >= 0.9
    assert "leaves of 40" in tuning.to_table()
    assert "chosen" in tuning.to_table()
    assert parse_json(to_json(tuning, 1), Tuning, 1, "a curve") == tuning


def test_the_table_of_an_index_without_leaves_has_no_column_of_them():
    points = [Point(50, 0, 0.99, 2000.0), Point(100, 0, 1.0, 1000.0)]
    table = Tuning(300, 0, 0.9, 10, 20, points, points[0], 3000.0, []).to_table()
    assert "leaves" not in table
    lines = [line.split() for line in table.splitlines()[4:]]
    assert lines == [
        ["50", "0.9900", "2,000", "chosen"],
        ["100", "1.0000", "1,000"],
        ["exact", "1.0000", "3,000"],
    ]


@pytest.mark.scann
def test_a_wanted_recall_of_1_is_looked_for_to_the_end(monkeypatch):
    gallery = clustered(4000, 16, 300)
    index = ScannIndex.build(gallery, PARTITIONED)
    recalls = iter([0.9997] * 7 + [1.0] * 50)
    monkeypatch.setattr(scann_tuning, "_recall", lambda found, truth: next(recalls))
    tuning = measure(index, gallery, gallery_queries(gallery, 20), 1.0, 5)
    assert tuning.chosen is not None
    assert tuning.points[7].leaves_to_search > tuning.points[6].leaves_to_search


@pytest.mark.slow
def test_queries_from_elsewhere_count_every_answer():
    gallery = clustered(2500, 8, 60)
    index = ScannIndex.build(gallery)
    tuning = measure(index, gallery, TuningQueries(QUERIES), 0.5, 2499)
    assert [point.recall for point in tuning.points] == [1.0]  # all rows are all rows


@pytest.mark.scann
def test_a_catalogue_is_searched_as_tuned(folder):
    result = tune(folder, 0.9, k=5, count=100, progress=False)
    (name,) = result.segments
    chosen = result.segments[name].chosen
    entry = Manifest.read(folder).segments[0]
    expected = SearchSettings(k=5, queries=100, **dataclasses.asdict(chosen))
    assert (entry.data, entry.search) == (name, expected)
    (segment,) = Catalogue.open(folder).segments
    assert segment.scann.settings.reorder == chosen.reorder
    assert "tuned: recall@5" in catalogue_info(folder).to_table()
    with Image.open(folder / "tuning.png") as picture:
        assert picture.size == (960, 600)
    assert result.pictures == [str(folder / "tuning.png")]
    assert read_tunings(folder) == result.segments
    assert "curve:" in result.to_table()


def test_settings_stay_with_their_segment(folder):
    tune(folder, 0.9, k=5, count=100, progress=False)
    entry = Manifest.read(folder).segments[0]
    add_photos(folder, *rows(HASHED, HASHED + ADDED), CARD)
    remove_photos(folder, ["photo 1"])
    assert Manifest.read(folder).segments[0] == entry
    compact(folder)
    assert [entry.search for entry in Manifest.read(folder).segments] == [None]


@pytest.mark.slow
def test_where_nothing_reaches_the_recall_settings_stay(folder, monkeypatch):
    monkeypatch.setattr(scann_tuning, "_recall", lambda found, truth: 0.5)
    before = Manifest.read(folder)
    result = tune(folder, 0.9, count=50, progress=False)
    assert len(result.failed) == 1
    assert Manifest.read(folder) == before
    assert (folder / "tuning.png").exists()
    assert read_tunings(folder) == result.segments


@pytest.mark.slow
def test_each_segment_has_its_curve(folder, tmp_path):
    more = [
        dataclasses.replace(item, photo_id=f"again {item.photo_id}") for item in rows(0, 2100)[1]
    ]
    add_photos(folder, EMBEDDINGS[:2100], more, [THUMBNAIL] * 2100, CARD)
    add_photos(folder, *rows(HASHED, HASHED + ADDED), CARD)  # too small to be hashed
    result = tune(folder, 0.5, count=50, picture=tmp_path / "c.png", progress=False)
    assert [tuning.rows for tuning in result.segments.values()] == [HASHED, 2100]
    assert result.pictures == [str(tmp_path / "c.png"), str(tmp_path / "c_2.png")]
    assert all(entry.search for entry in Manifest.read(folder).segments[:2])


def test_exact_search_has_nothing_to_tune(tmp_path):
    Catalogue.write(tmp_path / "index", *rows(0, 20), CARD)
    result = tune(tmp_path / "index", progress=False)
    assert (result.segments, result.failed, result.pictures) == ({}, [], [])
    assert "all 20 photos are searched exactly" in result.to_table()


def test_a_catalogue_that_was_changed_meanwhile_is_not_set(folder):
    settings = SearchSettings(50, 0, 0.99, 10, 100, 1.0)
    with pytest.raises(CatalogueError, match="its segments data-0 no longer exist"):
        set_search_settings(folder, {"data-0": settings})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"recall": 0.0}, "recall lies above 0"),
        ({"recall": 99.0}, "such as 0.99; got 99"),
        ({"recall": float("nan")}, "got nan"),
        ({"k": 0}, "k of at least 1"),
        ({"count": 0}, "at least one query"),
        ({"queries": EMBEDDINGS[:0]}, "at least one query"),
    ],
)
def test_settings_that_make_no_sense_are_refused(folder, arguments, message):
    with pytest.raises(CatalogueError, match=message.replace(".", r"\.")):
        tune(folder, progress=False, **arguments)
