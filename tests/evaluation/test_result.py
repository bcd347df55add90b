"""Results for programs and people, where little was measured."""

import dataclasses
import json

import numpy as np
import pytest

from fashion_jax.evaluation.refinements import Refinements
from fashion_jax.evaluation.result import Evaluation
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.ranking import NothingToMeasureError, rank_embeddings


def of_products(*identities, protocols=("instance",), gallery_category="hats", gallery=None):
    """Each photo of the gallery is the best answer to the query in its row."""
    count = len(identities)
    rows = np.eye(count, count + 1, dtype=np.float32)
    query_labels, gallery_labels = (
        Labels(
            np.array(of),
            np.full(count, category),
            photo_id=np.arange(first, first + count),
        )
        for of, category, first in (
            (identities, "hats", 0),
            (gallery or identities, gallery_category, count),
        )
    )
    rankings = {
        name: rank_embeddings(rows, rows, query_labels, gallery_labels, name) for name in protocols
    }
    return Evaluation("d", 1, {"gallery": count}, rankings, None, None, Refinements(), {}, 1.0)


def test_one_product_has_no_interval_in_json_and_table():
    evaluation = of_products(3, 3)
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    assert json.loads(text)["intervals"] == {}
    table = evaluation.to_table()
    assert "nan" not in table
    assert "95 %" not in table


def test_two_products_have_an_interval():
    evaluation = of_products(3, 4)
    assert evaluation.to_json()["intervals"]["instance/mAP"] == (1.0, 1.0)
    assert "1.0000-1.0000" in evaluation.to_table()


def test_a_protocol_with_nothing_to_measure_is_left_out_and_named():
    protocols = ("instance", "in_category")
    evaluation = of_products(3, 4, protocols=protocols, gallery_category="bags")
    assert evaluation.metrics()["instance/mAP"] == 1.0
    assert not any(name.startswith("in_category/") for name in evaluation.metrics())
    values = evaluation.to_json()
    assert sum(values["skipped_queries"]["in_category"].values()) == 2
    assert not any(name.startswith("in_category/") for name in values["intervals"])
    assert "in_category: nothing to measure; queries skipped: 2 " in evaluation.to_table()
    assert "nothing to measure" not in of_products(3, 4, protocols=protocols).to_table()


def test_nothing_to_measure_by_any_protocol_is_an_error():
    evaluation = of_products(3, 4, protocols=("instance", "in_category"), gallery=(5, 6))
    for measure in (evaluation.metrics, evaluation.intervals, evaluation.to_json):
        with pytest.raises(NothingToMeasureError, match="none of the 2 queries"):
            measure()
    refined = dataclasses.replace(evaluation, refined=evaluation.rankings)
    with pytest.raises(NothingToMeasureError):
        refined.to_table()
