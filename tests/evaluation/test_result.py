"""What an evaluation says to programs and to people, where there is little to say."""

import json

import numpy as np

from fashion_jax.evaluation.protocol import Labels
from fashion_jax.evaluation.ranking import rank_embeddings
from fashion_jax.evaluation.refinements import Refinements
from fashion_jax.evaluation.result import Evaluation


def of_products(*identities):
    count = len(identities)
    rows = np.eye(count, count + 1, dtype=np.float32)
    columns = np.full(count, "hats"), np.full(count, -1)
    query, gallery = (
        Labels(
            np.array(identities), *columns, np.arange(first, first + count), np.zeros(count, int)
        )
        for first in (0, count)
    )
    ranking = rank_embeddings(rows, rows, query, gallery)
    photos = {"gallery": count}
    nothing = Refinements()
    return Evaluation("d", 1, photos, {"instance": ranking}, None, None, nothing, {}, 1.0)


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
