"""Areas under curves, their order, and what is printed of them."""

import json
import math

import pytest

from fashion_jax.evaluation.robustness_result import (
    ACC_1,
    MAP,
    CorruptionResult,
    Curve,
    Robustness,
)

SEVERITIES = (0.0, 0.5, 1.0)


def result(name, values, accuracies=(0.9, 0.9, 0.9)):
    curves = {MAP: Curve(SEVERITIES, values), ACC_1: Curve(SEVERITIES, accuracies)}
    return CorruptionResult(name, f"much {name}", curves)


def robustness(*results, queries=10, skipped=None, coverage=None):
    return Robustness(
        dataset="street2shop",
        step=7,
        severities=SEVERITIES,
        results=results,
        gallery=100,
        queries=queries,
        all_queries=10,
        skipped=skipped or {"no_match_in_gallery": 0},
        seed=5,
        embedded=150,
        coverage=coverage or {},
        seconds=1.23,
    )


def test_area_by_hand():
    curve = Curve(SEVERITIES, (0.8, 0.6, 0.2))
    # (0.8 + 0.6) / 2 · 0.5 + (0.6 + 0.2) / 2 · 0.5 = 0.35 + 0.2
    assert curve.area == pytest.approx(0.55)
    assert curve.relative_area == pytest.approx(0.6875)
    assert curve.lost == pytest.approx(0.3125)


def test_area_of_uneven_severities():
    # (1 + 0) / 2 · 0.2 + 0 · 0.8
    assert Curve((0.0, 0.2, 1.0), (1.0, 0.0, 0.0)).area == pytest.approx(0.1)


def test_an_unharmed_metric_loses_nothing():
    curve = Curve(SEVERITIES, (0.4, 0.4, 0.4))
    assert (curve.area, curve.relative_area, curve.lost) == pytest.approx((0.4, 1.0, 0.0))


def test_of_nothing_no_share_can_be_lost():
    curve = Curve(SEVERITIES, (0.0, 0.0, 0.0))
    assert math.isnan(curve.relative_area)
    assert curve.to_json() == {
        "curve": [0.0, 0.0, 0.0],
        "area": 0.0,
        "relative_area": None,
        "lost": None,
    }


def test_the_greatest_loss_comes_first_and_the_unknown_last():
    measured = robustness(
        result("none", (0.0, 0.0, 0.0)),
        result("some", (0.8, 0.7, 0.6)),
        result("much", (0.8, 0.2, 0.1)),
        result("gain", (0.8, 0.9, 0.9)),
    )
    names = [each.name for each in measured.sorted_results()]
    assert names == ["much", "some", "gain", "none"]


def test_mean_relative_area():
    measured = robustness(result("a", (0.8, 0.6, 0.2)), result("b", (0.8, 0.8, 0.8)))
    assert measured.mean_relative_area(MAP) == pytest.approx((0.6875 + 1) / 2)


def test_json_has_all_values():
    measured = robustness(
        result("blur", (0.8, 0.6, 0.2)), queries=6, skipped={"no_match_in_gallery": 2}
    )
    values = json.loads(json.dumps(measured.to_json(), allow_nan=False))
    assert values["clean"] == {MAP: 0.8, ACC_1: 0.9}
    assert values["severities"] == [0.0, 0.5, 1.0]
    assert values["corruptions"]["blur"]["full_severity"] == "much blur"
    assert values["corruptions"]["blur"][MAP]["curve"] == [0.8, 0.6, 0.2]
    assert values["corruptions"]["blur"][ACC_1]["area"] == pytest.approx(0.9)
    assert values["mean_relative_area"][MAP] == pytest.approx(0.6875)
    assert values["photos"] == {
        "gallery": 100,
        "queries": 6,
        "queries_of_the_dataset": 10,
        "queries_measured": 4,
        "embedded": 150,
    }


def test_table_for_people():
    lines = robustness(
        result("blur", (0.8, 0.6, 0.2)),
        queries=6,
        skipped={"no_match_in_gallery": 2},
        coverage={"expected": 50, "usable": 40},
    ).to_table()
    assert "street2shop, checkpoint of step 7; clean: instance/mAP 0.8000" in lines
    (row,) = [line.split() for line in lines.splitlines() if line.startswith("blur")]
    assert row == ["blur", "0.2000", "0.5500", "0.6875", "0.9000", "0.9000", "1.0000"]
    assert "6 of 10 queries, drawn with seed 5; 4 measured against 100 clean" in lines
    assert "skipped: 2 (no match in gallery)" in lines
    assert "of 50 photos in the raw dataset's lists, 40 were usable" in lines


def test_table_says_that_all_queries_were_used():
    lines = robustness(result("blur", (0.0, 0.0, 0.0))).to_table()
    assert "all 10 queries; 10 measured" in lines
    assert "nan" not in lines
