"""The matrix's numbers: gaps and means by hand, JSON, tables."""

import dataclasses
import json
import math

import msgspec
import pytest

from fashion_jax.evaluation.cross_domain_result import (
    Cell,
    CrossDomainResult,
    SearchedDataset,
    TrainedRun,
)

REASON = "no_match_in_gallery"


def run(name, *trained_on):
    return TrainedRun(name, f"runs/{name}", trained_on, "resnet18", (32, 64), 12)


def cell(run_facts, dataset, value, skipped=0):
    metrics = {"instance/mAP": value, "instance/Acc@1": value / 2, "in_category/mAP": value + 0.05}
    return Cell(
        run=run_facts.name,
        dataset=dataset,
        own=dataset in run_facts.trained_on,
        metrics=metrics,
        measured={"instance": 20 - skipped, "in_category": 18},
        skipped={"instance": {REASON: skipped}, "in_category": {REASON: 2}},
    )


A, B, BOTH = run("a", "street"), run("b", "shop"), run("both", "street", "shop")
VALUES = {A: (0.8, 0.3), B: (0.4, 0.9), BOTH: (0.7, 0.85)}
COVERAGE = {"expected": 100, "found": 90, "missing": 10, "empty": 2, "usable": 88}


def matrix(runs=(A, B, BOTH)):
    return CrossDomainResult(
        runs=runs,
        datasets=[
            SearchedDataset("street", "1.0.0", 20, 50, COVERAGE),
            SearchedDataset("shop", "2.0.0", 9, 7),
        ],
        cells=[
            cell(facts, dataset, value, skipped=int(dataset == "street"))
            for facts in runs
            for dataset, value in zip(("street", "shop"), VALUES[facts], strict=True)
        ],
        seconds=12.3,
        report="report/cross_domain.html",
    )


@pytest.mark.parametrize(
    ("runs", "at", "gap"),
    [
        ((A, B), ("b", "street"), -0.4),
        ((A, B), ("a", "shop"), -0.6),
        ((A, B), ("a", "street"), None),  # its own
        ((A, B, BOTH), ("b", "street"), -0.4),  # to the better of the two trained there
        ((A, B, BOTH), ("both", "street"), None),
        ((B,), ("b", "street"), None),  # nobody was trained there
    ],
)
def test_gap_to_the_best_that_was_trained_there(runs, at, gap):
    result = matrix(runs)
    found = result.gap(result.cell(*at), "instance/mAP")
    assert found == (None if gap is None else pytest.approx(gap))


def test_means_over_own_and_other_datasets():
    result = matrix()
    assert result.mean("instance/mAP", own=True) == pytest.approx((0.8 + 0.9 + 0.7 + 0.85) / 4)
    assert result.mean("instance/mAP", own=False) == pytest.approx((0.3 + 0.4) / 2)
    assert matrix((BOTH,)).mean("instance/mAP", own=False) is None


def test_protocols_and_metrics_keep_their_order():
    assert matrix().protocols() == ["instance", "in_category"]
    assert matrix().metric_names("instance") == ["mAP", "Acc@1"]


def test_a_protocol_with_nothing_to_measure_on_one_dataset():
    result = matrix()
    cells = [
        dataclasses.replace(each, metrics={"instance/mAP": 0.5})
        if each.dataset == "street"
        else each
        for each in result.cells
    ]
    result = dataclasses.replace(result, cells=cells)
    assert result.protocols() == ["instance", "in_category"]
    assert math.isnan(result.cell("b", "street").metric("in_category/mAP"))
    assert result.gap(result.cell("b", "street"), "in_category/mAP") is None
    assert result.gap(result.cell("a", "shop"), "in_category/mAP") == pytest.approx(0.35 - 0.95)
    assert math.isnan(result.mean("in_category/mAP", own=True))
    rows = [line.split() for line in result.to_table().splitlines()]
    assert ["b", "street", "–", "18", "50"] in rows


def test_json_holds_every_cell():
    values = json.loads(json.dumps(msgspec.to_builtins(matrix())))
    assert [(c["run"], c["dataset"], c["own"]) for c in values["cells"]] == [
        ("a", "street", True),
        ("a", "shop", False),
        ("b", "street", False),
        ("b", "shop", True),
        ("both", "street", True),
        ("both", "shop", True),
    ]
    assert values["cells"][1]["metrics"]["instance/mAP"] == 0.3
    assert values["cells"][0]["skipped"]["instance"] == {REASON: 1}
    assert values["runs"][2]["trained_on"] == ["street", "shop"]
    assert values["datasets"][0]["coverage"]["usable"] == 88
    assert (values["seconds"], values["report"]) == (12.3, "report/cross_domain.html")


def test_table_has_a_row_for_every_cell_and_protocol():
    lines = matrix().to_table().splitlines()
    rows = [line.split() for line in lines]
    assert ["b", "street", "0.4000", "0.2000", "19", "50"] in rows
    assert ["b", "shop", "*", "0.9000", "0.4500", "20", "7"] in rows
    assert ["both", "street", "*", "0.7500", "18", "50"] in rows
    assert sum("*" in row for row in rows[:-2]) == 2 * 4
    text = "\n".join(lines)
    assert "both: resnet18, 32×64 pixels, step 12, trained on street and shop" in text
    assert f"street 1.0.0: queries skipped: 1 {REASON}; 88 of 100 photos" in text
    assert "shop 2.0.0: queries skipped: none; completeness of the raw dataset unknown" in text
