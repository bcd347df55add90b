"""Labelled pairs of test photos, scored by hand."""

import numpy as np

from fashion_jax.datasets.duplicates.decisions import Decision
from fashion_jax.evaluation.embedded import EmbeddedTest
from fashion_jax.evaluation.labelled_pairs import PairScores, score_pairs
from tests.datasets.fakes import FakeSplit


def at(*degrees):
    angles = np.deg2rad(np.array(degrees, np.float32))
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def split(names, identity):
    found = FakeSplit("query", 0)
    found.photo_id, found.identity = np.array(names), np.array(identity, np.int64)
    return found


TEST = EmbeddedTest(
    split(["q0", "q1"], [0, 1]),
    split(["a", "b", "c", "d"], [0, 1, 1, 2]),
    at(0, 55),
    at(20, 40, 10, 90),
)


def pair(first, second, decision="different"):
    return Decision(first, second, decision)


def test_by_hand():
    found = score_pairs(
        TEST,
        [
            pair("q0", "a", "same"),  # 20 degrees apart
            pair("b", "c", "same"),  # 30
            pair("q0", "c"),  # 10: before a, which is right at 20
            pair("q1", "a"),  # 35: after b, at 15
            pair("d", "q0"),  # 90; there is no other photo of d's product
            pair("q0", "none"),
        ],
    )
    # Of 2 × 3: both 20 and 30 are nearer than 35 and 90, and none is nearer than 10.
    assert found == PairScores(2, 3, 1, 4 / 6, 2, 1)
    assert found.to_line() == (
        "labelled pairs: 2 same, 3 different, area under the ROC curve 0.6667; 1 of 2 wrong "
        "answers still come before the photo's own product; 1 not of test photos"
    )


def test_of_one_kind_or_none():
    assert score_pairs(TEST, []) == PairScores(0, 0, 0, None, 0, 0)
    assert score_pairs(TEST, [pair("q0", "d")]) == PairScores(0, 1, 0, None, 1, 0)
    assert score_pairs(TEST, [pair("b", "c", "same")]).auc is None
