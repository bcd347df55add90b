"""The curves of a tuned catalogue as a file: read back whole, and refused where it is not ours."""

import dataclasses
import json
import shutil

import pytest

from fashion_jax.files import StorageError
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.tuning_file import SCHEMA, read_tunings, write_tunings
from fashion_jax.retrieval.scann_tuning import FilteredPoint, Point, Tuning
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.test_live_index import rows

POINTS = (Point(50, 4, 0.7, 900.0), Point(100, 9, 0.995, 500.0))
FILTERED = [FilteredPoint(0.1, True, 1.0, 80.0), FilteredPoint(0.9, False, 0.98, 400.0)]
TUNING = Tuning(20, 40, 0.99, 5, 200, list(POINTS), POINTS[1], 120.5, FILTERED)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("built") / "index"
    Catalogue.write(folder, *rows(0, 20), CARD)
    return folder


@pytest.fixture
def folder(built, tmp_path):
    shutil.copytree(built, tmp_path / "index")
    return tmp_path / "index"


def segment(folder):
    return Manifest.read(folder).segments[0].data


@pytest.mark.parametrize("tuning", [TUNING, dataclasses.replace(TUNING, chosen=None)])
def test_curves_are_read_back(folder, tuning):
    write_tunings(folder, {segment(folder): tuning})
    assert read_tunings(folder) == {segment(folder): tuning}


def test_a_catalogue_that_was_never_tuned_has_no_curves(folder):
    assert read_tunings(folder) == {}
    assert read_tunings(folder / "nowhere") == {}


def test_curves_of_segments_that_are_gone_are_left_out(folder):
    write_tunings(folder, {segment(folder): TUNING})
    Catalogue.write(folder, *rows(0, 20), CARD)
    assert read_tunings(folder) == {}


def test_a_curve_of_another_number_of_rows_is_refused(folder):
    write_tunings(folder, {segment(folder): dataclasses.replace(TUNING, rows=21)})
    with pytest.raises(StorageError, match=r"tuning\.json is damaged: .* 21 rows, not 20"):
        read_tunings(folder)


def with_values(**values):
    return {**dataclasses.asdict(TUNING), **values}


POINT = dataclasses.asdict(POINTS[0])


@pytest.mark.parametrize(
    "damage",
    [
        with_values(points=[]),
        with_values(points=None),
        with_values(points=["<script>"]),
        with_values(points=[{**POINT, "recall": float("nan")}], chosen=None),
        with_values(points=[{**POINT, "recall": 1.5}], chosen=None),
        with_values(points=[{**POINT, "queries_per_second": float("inf")}], chosen=None),
        with_values(points=[{**POINT, "queries_per_second": 0}], chosen=None),
        with_values(points=[{**POINT, "reorder": "<script>"}], chosen=None),
        with_values(points=[POINT]),  # and another one is said to be chosen
        with_values(exact_queries_per_second=10**400),
        with_values(exact_queries_per_second=None),
        with_values(k=True),
        with_values(k=-1),
        with_values(rows=2.5),
        {name: value for name, value in dataclasses.asdict(TUNING).items() if name != "queries"},
        "a text",
    ],
)
def test_what_is_no_curve_is_refused(folder, damage):
    text = json.dumps({"schema": SCHEMA, "segments": {segment(folder): damage}})
    (folder / "tuning.json").write_text(text)
    with pytest.raises(StorageError, match=r"(?s)tuning\.json is damaged .* index tune` again"):
        read_tunings(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "damaged"),
        ("[" * 100_000, "damaged"),
        (f'{{"schema": {SCHEMA}}}', "missing required field `segments`"),
        (f'{{"schema": {SCHEMA}, "segments": [1]}}', "Expected `object`, got `array`"),
        (f'{{"schema": {SCHEMA}, "segments": {{}}}}', "does not match its content_sha256"),
        ('{"schema": 7, "segments": {}}', "has schema 7"),
        (" " * 2**26 + "{}", "too large"),
    ],
)
def test_a_foreign_file_is_refused(folder, text, message):
    (folder / "tuning.json").write_text(text)
    with pytest.raises(StorageError, match=message):
        read_tunings(folder)


def test_a_curve_without_a_catalogue_is_refused(tmp_path):
    write_tunings(tmp_path, {"data-1": TUNING})
    with pytest.raises(StorageError, match="is not a catalogue"):
        read_tunings(tmp_path)
