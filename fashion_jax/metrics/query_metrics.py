"""Retrieval metrics of each query, from nothing but the ranks of its right answers.

R is the number of a query's right answers and r₁ < r₂ < ... < r_R their ranks, from 1, in the full
ranking. The tests hold a worked example.

| name | of one query | source |
|---|---|---|
| `mAP` | (1/R) Σ i / rᵢ, over the full ranking | Zheng et al. 2015 (Market-1501) |
| `MRR` | 1 / r₁ | Voorhees 1999 (TREC-8) |
| `mINP` | R / r_R: how deep the hardest right answer lies | Ye et al. 2021 (arXiv:2001.04193) |
| `R-precision` | share of right among the first R | Musgrave et al. 2020 (arXiv:2003.08505) |
| `MAP@R` | (1/R) Σ i / rᵢ over those with rᵢ ≤ R | Musgrave et al. 2020 |
| `Acc@k` | 1 if r₁ ≤ k: CMC; papers on metric learning call it Recall@k | Gray et al. 2007 |
| `Recall@k` | share of the R right answers among the first k | |
| `nDCG@k` | Σ 1/log₂(1 + rᵢ) over rᵢ ≤ k, by its largest value | Järvelin, Kekäläinen 2002 |
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

ACCURACY_RANKS = (1, 5, 10, 20, 50)

PerQuery = Float[np.ndarray, " queries"]


def query_metrics(
    ranks: Int[np.ndarray, " answers"],
    relevant: Int[np.ndarray, " queries"],
    depths: Sequence[int] = ACCURACY_RANKS,
) -> dict[str, PerQuery]:
    """Every metric of every query.

    Args:
        ranks: of all right answers of all queries, query after query, rising within each.
        relevant: R of each query, at least 1.
        depths: the k of `Acc@k`, `Recall@k` and `nDCG@k`.

    Returns:
        Values by metric; each mean over queries is the metric of that name.
    """
    owner = np.repeat(np.arange(len(relevant)), relevant)
    ends = np.cumsum(relevant)
    place = np.arange(len(ranks)) - np.repeat(ends - relevant, relevant) + 1
    wanted = relevant[owner]

    def total(values: np.ndarray) -> PerQuery:
        sums = np.bincount(owner, weights=values, minlength=len(relevant))
        return sums.astype(np.float64)  # of nothing, NumPy counts in whole numbers

    precision = place / ranks
    within = ranks <= wanted
    first = ranks[ends - relevant]
    metrics = {
        "mAP": total(precision) / relevant,
        "MRR": 1.0 / first,
        "mINP": relevant / ranks[ends - 1],
        "R-precision": total(within) / relevant,
        "MAP@R": total(precision * within) / relevant,
    }
    gain = 1.0 / np.log2(1.0 + ranks)
    for k in depths:
        metrics[f"Acc@{k}"] = (first <= k).astype(np.float64)
    for k in depths:
        metrics[f"Recall@{k}"] = total(ranks <= k) / relevant
    for k in depths:
        metrics[f"nDCG@{k}"] = total(gain * (ranks <= k)) / _largest_gain(relevant, k)
    return metrics


def _largest_gain(relevant: Int[np.ndarray, " queries"], depth: int) -> PerQuery:
    """Σ 1/log₂(1 + i) for i from 1 to min(R, k)."""
    sums = np.cumsum(1.0 / np.log2(1.0 + np.arange(1, depth + 1)))
    return sums[np.minimum(relevant, depth) - 1]
