"""Recall against speed of a run's index, in the run's report."""

import dataclasses
import logging
import re

import pytest

from fashion_jax.experiments.run_report import _tunings
from fashion_jax.reports.report import render_report
from fashion_jax.reports.tuning_picture import best_points
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.tuning_file import write_tunings
from fashion_jax.retrieval.scann_tuning import Point, Tuning
from tests.reports.test_report import HOSTILE, Page, empty_data
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.test_live_index import rows

SLOW, CHOSEN, FAST = (
    Point(100, 9, 0.9991, 450.0),
    Point(90, 8, 0.992, 1500.0),
    Point(5, 1, 0.5, 9e3),
)
BEATEN = Point(77, 2, 0.4, 800.0)
TUNING = Tuning(4321, 40, 0.99, 5, 200, [BEATEN, SLOW, CHOSEN, FAST], CHOSEN, 120.5, [])


def page(**tunings):
    return render_report(dataclasses.replace(empty_data(), tunings=tunings))


def row_texts(text):
    section = text.partition('id="index-curves"')[2].partition("</section>")[0]
    return [
        " ".join(re.sub("<[^>]*>", " ", row).split())
        for row in re.findall(r"<tr><th scope=\"row\">.*?</tr>", section, re.DOTALL)
    ]


def test_the_fastest_settings_stand_in_a_table_beside_exact_search():
    assert row_texts(page(one=TUNING)) == [
        "reorder 5, 1 of 40 leaves 0.5000 9,000",
        "reorder 90, 8 of 40 leaves 0.9920 1,500 chosen",
        "reorder 100, 9 of 40 leaves 0.9991 450",
        "exact search 1.0000 120",
    ]


def test_the_chart_says_what_it_shows():
    text = page(one=TUNING)
    assert "Recall@5 over speed" in text
    assert "ScaNN goes from 0.999 to 0.5" in text
    assert ">chosen</text>" in text
    words = " ".join(" ".join(Page(text).text).split())
    assert "of 200 queries over queries per second, for 4 settings" in words
    assert "4,321 photos" in words
    assert '<a href="#index-curves">' in text


def test_a_chosen_point_that_another_as_fast_beats_is_shown():
    better = dataclasses.replace(CHOSEN, reorder=91, recall=0.995)
    tuning = dataclasses.replace(TUNING, points=[CHOSEN, better])
    assert best_points(tuning) == [better, CHOSEN]


def test_where_nothing_reaches_the_recall_it_is_said():
    text = page(one=dataclasses.replace(TUNING, chosen=None, leaves=0))
    assert "No setting reaches the target recall of 0.99." in text
    assert "chosen" not in text
    assert row_texts(text)[0] == "reorder 5 0.5000 9,000"


def test_a_single_point_and_several_segments():
    text = page(one=TUNING, two=dataclasses.replace(TUNING, points=[CHOSEN]))
    assert text.count("<figure>") == 2
    Page(text)


def test_without_a_curve_there_is_no_section():
    assert "index-curves" not in page()


def test_hostile_names_are_only_text():
    found = Page(page(**{HOSTILE: TUNING}))
    assert "script" not in found.tags
    assert HOSTILE in " ".join(found.text)


@pytest.fixture
def index(tmp_path):
    Catalogue.write(tmp_path / "index", *rows(0, 20), CARD)
    return tmp_path / "index"


def test_the_curves_of_a_run_s_index_are_read(index):
    name = Manifest.read(index).segments[0].data
    tuning = dataclasses.replace(TUNING, rows=20)
    write_tunings(index, {name: tuning})
    assert _tunings(index) == {name: tuning}


def test_a_run_without_an_index_has_no_curve(tmp_path, caplog):
    assert _tunings(tmp_path / "index") == {}
    assert not caplog.records


@pytest.mark.parametrize("content", ["{", '{"schema": 3, "segments": {"<script>": "<script>"}}'])
def test_a_damaged_curve_is_left_out_with_a_warning(index, caplog, content):
    (index / "tuning.json").write_text(content)
    with caplog.at_level(logging.WARNING):
        assert _tunings(index) == {}
    assert "the report omits the index curves" in caplog.text
    assert "tuning.json is damaged" in caplog.text
