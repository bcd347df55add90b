"""Retrieval metrics of each query, computed from the ranks of its correct matches alone.

R is the number of a query's correct matches and r₁ < r₂ < ... < r_R their ranks, from 1, in the
full ranking. The tests contain a worked example.

| name | value for one query | source |
|---|---|---|
| `mAP` | (1/R) Σ i / rᵢ, over the full ranking | Zheng et al. 2015 (Market-1501) |
| `MRR` | 1 / r₁ | Voorhees 1999 (TREC-8) |
| `mINP` | R / r_R, the cost of finding the hardest match | Ye et al. 2021 (arXiv:2001.04193) |
| `R-precision` | share of matches among the first R | Musgrave et al. 2020 (arXiv:2003.08505) |
| `MAP@R` | (1/R) Σ i / rᵢ over those with rᵢ ≤ R | Musgrave et al. 2020 |
| `Acc@k` | 1 if r₁ ≤ k (CMC); metric-learning papers call it Recall@k | Gray et al. 2007 |
| `Recall@k` | share of the R correct matches among the first k | |
| `nDCG@k` | Σ 1/log₂(1 + rᵢ) over rᵢ ≤ k, over its maximum | Järvelin, Kekäläinen 2002 |
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from fashion_jax.metrics.labels import MetricsError

ACCURACY_RANKS = (1, 5, 10, 20, 50)

PerQuery = Float[np.ndarray, " queries"]


def query_metrics(
    ranks: Int[np.ndarray, " matches"],
    relevant: Int[np.ndarray, " queries"],
    depths: Sequence[int] = ACCURACY_RANKS,
) -> dict[str, PerQuery]:
    """Compute every metric of every query.

    Args:
        ranks: ranks of the correct matches of all queries, from 1, query after query, ascending
            within each query.
        relevant: R of each query, at least 1.
        depths: values of k for `Acc@k`, `Recall@k` and `nDCG@k`.

    Returns:
        Value of each query, by metric. The mean over queries is the metric of that name.

    Raises:
        MetricsError: if ranks are not as described, or a depth is below 1.

    Examples:
        Two queries: one with matches at ranks 1 and 3, one with a match at rank 2.

        >>> import numpy as np
        >>> found = query_metrics(np.array([1, 3, 2]), np.array([2, 1]), depths=(1,))
        >>> found["mAP"].round(4).tolist(), found["Acc@1"].tolist()
        ([0.8333, 0.5], [1.0, 0.0])
    """
    owner = np.repeat(np.arange(len(relevant)), relevant)
    _check(ranks, relevant, owner, depths)
    ends = np.cumsum(relevant)
    place = np.arange(len(ranks)) - np.repeat(ends - relevant, relevant) + 1
    wanted = relevant[owner]

    def total(values: np.ndarray) -> PerQuery:
        sums = np.bincount(owner, weights=values, minlength=len(relevant))
        return sums.astype(np.float64)  # NumPy counts an empty array in integers

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


def _check(
    ranks: np.ndarray, relevant: np.ndarray, owner: np.ndarray, depths: Sequence[int]
) -> None:
    if len(owner) != len(ranks) or (relevant < 1).any():
        raise MetricsError(
            f"found {len(ranks)} ranks for {len(relevant)} queries with {relevant.sum()} correct "
            f"matches; expected one rank per match and at least one match per query"
        )
    descending = (np.diff(ranks) <= 0) & (np.diff(owner) == 0)
    if descending.any() or (ranks < 1).any():
        raise MetricsError("ranks start at 1 and ascend within each query; sort them per query")
    if any(depth < 1 for depth in depths):
        raise MetricsError(f"depths are at least 1, found {', '.join(map(str, depths))}")


def _largest_gain(relevant: Int[np.ndarray, " queries"], depth: int) -> PerQuery:
    """Σ 1/log₂(1 + i) for i from 1 to min(R, k)."""
    sums = np.cumsum(1.0 / np.log2(1.0 + np.arange(1, depth + 1)))
    return sums[np.minimum(relevant, depth) - 1]
