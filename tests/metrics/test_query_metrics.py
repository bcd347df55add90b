"""Two queries by hand.

Query 0 has R = 3 right answers at ranks 1, 3, 6:
  mAP (1/1 + 2/3 + 3/6) / 3 = 13/18; MRR 1; mINP 3/6; two of them among the first three:
  R-precision 2/3; MAP@R (1/1 + 2/3) / 3 = 5/9.
Query 1 has R = 1 at rank 4: mAP 1/4, MRR 1/4, mINP 1/4, R-precision 0, MAP@R 0.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_jax.metrics.labels import MetricsError
from fashion_jax.metrics.query_metrics import query_metrics

RANKS = np.array([1, 3, 6, 4])
RELEVANT = np.array([3, 1])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mAP", [13 / 18, 1 / 4]),
        ("MRR", [1, 1 / 4]),
        ("mINP", [1 / 2, 1 / 4]),
        ("R-precision", [2 / 3, 0]),
        ("MAP@R", [5 / 9, 0]),
        ("Acc@1", [1, 0]),
        ("Acc@3", [1, 0]),
        ("Acc@4", [1, 1]),
        ("Recall@1", [1 / 3, 0]),
        ("Recall@3", [2 / 3, 0]),
        ("Recall@4", [2 / 3, 1]),
        ("nDCG@1", [1, 0]),
        # 1/log₂2 + 1/log₂4 = 1.5 of 1/log₂2 + 1/log₂3 + 1/log₂4.
        ("nDCG@3", [1.5 / (1.5 + 1 / math.log2(3)), 0]),
        ("nDCG@4", [1.5 / (1.5 + 1 / math.log2(3)), 1 / math.log2(5)]),
    ],
)
def test_by_hand(name, expected):
    assert query_metrics(RANKS, RELEVANT, (1, 3, 4))[name] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ranks", "relevant", "depths", "message"),
    [
        ([1, 3], [3], (1,), "found 2 ranks for 1 queries with 3 correct matches"),
        ([1, 3], [2, 0], (1,), "at least one match per query"),
        ([3, 1], [2], (1,), "ascend within each query"),
        ([2, 2], [2], (1,), "ascend within each query"),
        ([0, 1], [2], (1,), "ranks start at 1"),
        ([1, 3], [2], (5, 0), "depths are at least 1, found 5, 0"),
    ],
)
def test_ranks_that_cannot_be_are_refused(ranks, relevant, depths, message):
    with pytest.raises(MetricsError, match=message):
        query_metrics(np.array(ranks), np.array(relevant), depths)


def test_no_query_has_no_values():
    empty = np.empty(0, dtype=np.int64)
    assert all(len(values) == 0 for values in query_metrics(empty, empty).values())


ANSWERS = st.lists(
    st.lists(st.integers(1, 60), min_size=1, max_size=8, unique=True), min_size=1, max_size=6
)


@settings(deadline=None)
@given(ANSWERS)
def test_against_a_ranking_written_out(answers):
    """Every metric from a list of hits and misses."""
    answers = [sorted(each) for each in answers]
    found = query_metrics(
        np.concatenate(answers), np.array([len(each) for each in answers]), (1, 5, 50)
    )
    for query, ranks in enumerate(answers):
        hits = [rank in ranks for rank in range(1, 61)]
        for name, expected in written_out(hits).items():
            assert found[name][query] == pytest.approx(expected), name


def written_out(hits):
    total = sum(hits)
    precision = [sum(hits[: i + 1]) / (i + 1) for i in range(len(hits))]
    values = {
        "mAP": sum(p for p, hit in zip(precision, hits, strict=True) if hit) / total,
        "MRR": 1 / (hits.index(True) + 1),
        "mINP": total / max(i + 1 for i, hit in enumerate(hits) if hit),
        "R-precision": precision[total - 1],
        "MAP@R": sum(p for p, hit in zip(precision[:total], hits, strict=False) if hit) / total,
    }
    for k in (1, 5, 50):
        gain = sum(1 / math.log2(i + 2) for i, hit in enumerate(hits[:k]) if hit)
        best = sum(1 / math.log2(i + 2) for i in range(min(k, total)))
        values |= {
            f"Acc@{k}": float(any(hits[:k])),
            f"Recall@{k}": sum(hits[:k]) / total,
            f"nDCG@{k}": gain / best,
        }
    return values


@settings(deadline=None)
@given(ANSWERS)
def test_all_lie_between_0_and_1(answers):
    ranks = np.concatenate([sorted(each) for each in answers])
    relevant = np.array([len(each) for each in answers])
    for name, values in query_metrics(ranks, relevant).items():
        assert (values >= 0).all(), name
        assert (values <= 1 + 1e-12).all(), name


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_a_perfect_ranking_has_ones(relevant):
    ranks = np.concatenate([np.arange(1, count + 1) for count in relevant])
    for name, values in query_metrics(ranks, np.array(relevant), (10,)).items():
        np.testing.assert_allclose(values, 1.0, err_msg=name)
