"""Per-query ranking results over the full gallery, without ever holding a full ranking.

The ranks of each query's correct matches are counted from the scores of one block of queries at a
time, and all metrics follow from those ranks; see `fashion_jax.metrics.query_metrics`.
"""

import dataclasses
import functools
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from fashion_jax.metrics.confidence import Interval, confidence_intervals
from fashion_jax.metrics.labels import (
    Labels,
    MetricsError,
    check_pair,
    loses_other_products,
    numbered,
)
from fashion_jax.metrics.protocol import find_protocol
from fashion_jax.metrics.query_metrics import ACCURACY_RANKS, query_metrics
from fashion_jax.metrics.ranking_units import RANKING_UNITS, RankingUnit
from fashion_jax.metrics.scores import DistanceScores, EmbeddingScores, Scores
from fashion_jax.retrieval.index import EmbeddingError, check_embeddings

NO_MATCH = "no_match_in_gallery"
ONLY_SAME_CAMERA = "only_same_camera_matches"
ONLY_ITSELF = "only_itself_matches"
SKIP_REASONS = (NO_MATCH, ONLY_SAME_CAMERA, ONLY_ITSELF)

# Scores computed at once: 256 MiB in float32.
_SCORES_AT_ONCE = 2**26
# From this many correct matches on, sorting all scores is faster than counting for each of them.
_SORTED_FROM = 64
# Share of queries that lose photos of other products to equal photo ids without a warning.
_LOSING_QUERIES = 0.05


class NothingToMeasureError(MetricsError):
    """None of the queries has a correct match in the gallery."""


@dataclasses.dataclass(frozen=True)
class GroupMetrics:
    """Metrics of the queries of one category or domain.

    Attributes:
        queries: number of measured queries.
        skipped: number of queries without a correct match.
        mean_average_precision: mAP; NaN if no query was measured.
        accuracy_at_1: Acc@1; NaN if no query was measured.
    """

    queries: int
    skipped: int
    mean_average_precision: float
    accuracy_at_1: float

    def to_json(self) -> dict[str, int | float | None]:
        """Return plain values; metrics are None if no query was measured."""
        return {
            "queries": self.queries,
            "skipped": self.skipped,
            "mAP": self.mean_average_precision if self.queries else None,
            "Acc@1": self.accuracy_at_1 if self.queries else None,
        }


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Per-query ranking results, from which all metrics are computed.

    Attributes:
        protocol: name from `fashion_jax.metrics.protocol.PROTOCOLS`.
        ranks: ranks of all correct matches, from 1, query after query, ascending within each.
        relevant: number of correct matches of each query; 0 if it was skipped.
        skip_reason: one of `SKIP_REASONS`, or "" if the query was measured.
        queries: labels of the queries.
    """

    protocol: str
    ranks: Int[np.ndarray, " matches"]
    relevant: Int[np.ndarray, " queries"]
    skip_reason: Shaped[np.ndarray, " queries"]
    queries: Labels

    @property
    def measured(self) -> Bool[np.ndarray, " queries"]:
        """True for queries with a correct match."""
        return self.relevant > 0

    @functools.cached_property
    def first_match(self) -> Int[np.ndarray, " queries"]:
        """Rank of each query's first correct match; 0 if the query was skipped."""
        first = np.zeros(len(self.relevant), dtype=np.int64)
        starts = np.cumsum(self.relevant) - self.relevant
        first[self.measured] = self.ranks[starts[self.measured]]
        return first

    @functools.cached_property
    def average_precision(self) -> Float[np.ndarray, " queries"]:
        """Average precision over the full ranking; NaN if the query was skipped."""
        values = np.full(len(self.relevant), np.nan)
        if self.measured.any():
            values[self.measured] = self.per_query(depths=())["mAP"]
        return values

    def per_query(
        self, depths: Sequence[int] = ACCURACY_RANKS
    ) -> dict[str, Float[np.ndarray, " measured"]]:
        """Compute every metric of each measured query, by name without the protocol."""
        return query_metrics(self.ranks, self.relevant[self.measured], depths)

    def skipped(self) -> dict[str, int]:
        """Count the skipped queries by reason, zeros included."""
        return {reason: int(np.sum(self.skip_reason == reason)) for reason in SKIP_REASONS}

    def metrics(self, depths: Sequence[int] = ACCURACY_RANKS) -> dict[str, float]:
        """Compute means over the measured queries, by names such as `instance/Acc@20`.

        Args:
            depths: values of k for `Acc@k`, `Recall@k` and `nDCG@k`.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        self._require_measured()
        values = self.per_query(depths)
        return {f"{self.protocol}/{name}": float(np.mean(each)) for name, each in values.items()}

    def intervals(self, depths: Sequence[int] = ACCURACY_RANKS) -> dict[str, Interval]:
        """Compute 95 % bootstrap intervals of `metrics`, resampling products.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        measured = self._require_measured()
        found = confidence_intervals(self.per_query(depths), self.queries.identity[measured])
        return {f"{self.protocol}/{name}": interval for name, interval in found.items()}

    def cmc(self, length: int) -> Float[np.ndarray, " length"]:
        """Compute the cumulative matching characteristic: Acc@1, Acc@2, ..., Acc@length.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        first = self.first_match[self._require_measured()]
        found_at = np.bincount(np.minimum(first, length + 1), minlength=length + 2)
        return np.cumsum(found_at[1 : length + 1]) / len(first)

    def per_category(self) -> dict[str, GroupMetrics]:
        """Compute metrics of the queries of each category; empty without categories."""
        return self._groups(self.queries.category)

    def per_domain(self) -> dict[str, GroupMetrics]:
        """Compute metrics of the queries of each domain; empty without domains."""
        return self._groups(self.queries.domain)

    def _groups(self, column: Shaped[np.ndarray, " queries"] | None) -> dict[str, GroupMetrics]:
        if column is None:
            return {}
        return {str(value): self._group(column == value) for value in np.unique(column)}

    def _group(self, chosen: Bool[np.ndarray, " queries"]) -> GroupMetrics:
        measured = chosen & self.measured
        count = int(np.sum(measured))
        return GroupMetrics(
            queries=count,
            skipped=int(np.sum(chosen)) - count,
            mean_average_precision=_mean(self.average_precision[measured]),
            accuracy_at_1=_mean(self.first_match[measured] == 1),
        )

    def _require_measured(self) -> Bool[np.ndarray, " queries"]:
        measured = self.measured
        if not measured.any():
            reasons = ", ".join(f"{reason}: {count}" for reason, count in self.skipped().items())
            raise NothingToMeasureError(
                f"none of the {len(measured)} queries has a correct match by protocol "
                f"{self.protocol} ({reasons}); check that query and gallery belong together"
            )
        return measured


def rank_embeddings(
    queries: Any,
    gallery: Any,
    query_labels: Labels,
    gallery_labels: Labels,
    protocol: str = "instance",
) -> Ranking:
    """Ranks the gallery for each query by cosine similarity; ties by row.

    Memory on top of the embeddings is one block of queries against the gallery: 256 MiB of scores,
    or those of one query if the gallery is larger than that. Protocols on items and categories copy
    the part of the gallery that they search.

    Args:
        queries: [queries, dimensions] embeddings, L2-normalised, NumPy or JAX.
        gallery: [gallery, dimensions] embeddings, L2-normalised, NumPy or JAX.
        query_labels: labels of the queries.
        gallery_labels: labels of the gallery.
        protocol: name from `fashion_jax.metrics.protocol.PROTOCOLS`.

    Returns:
        Per-query ranking results.

    Raises:
        EmbeddingError: if rows (which are named) are not finite or not L2-normalised, or shapes do
            not fit.
        MetricsError: if the protocol is unknown, or labels do not fit it or each other.
    """
    queries_qd = check_embeddings(queries, "query embeddings")
    gallery_gd = check_embeddings(gallery, "gallery embeddings", queries_qd.shape[1])
    _check_rows(len(queries_qd), query_labels, "query embeddings")
    _check_rows(len(gallery_gd), gallery_labels, "gallery embeddings")
    return rank(EmbeddingScores(queries_qd, gallery_gd), query_labels, gallery_labels, protocol)


def rank_distances(
    distances: Any, query_labels: Labels, gallery_labels: Labels, protocol: str = "instance"
) -> Ranking:
    """Ranks the gallery for each query by precomputed distances.

    Args:
        distances: [queries, gallery], NumPy or JAX; smaller is better, ties are ranked by
            row. Negate similarities.
        query_labels: labels of the queries.
        gallery_labels: labels of the gallery.
        protocol: name from `fashion_jax.metrics.protocol.PROTOCOLS`, without centroids.

    Returns:
        Per-query ranking results.

    Raises:
        EmbeddingError: if distances are not finite, or their shape does not fit.
        MetricsError: if the protocol is unknown or uses centroids, or labels do not fit it or each
            other.

    Examples:
        >>> import numpy as np
        >>> from fashion_jax.metrics.labels import Labels
        >>> query, gallery = Labels(np.array(["coat"])), Labels(np.array(["hat", "coat"]))
        >>> rank_distances(np.array([[0.1, 0.2]]), query, gallery).metrics()["instance/mAP"]
        0.5
    """
    distances = np.asarray(distances)
    if distances.dtype.kind != "f":  # integers, or bfloat16, which NumPy does not take for a float
        distances = distances.astype(np.float64)
    if distances.ndim != 2:
        raise EmbeddingError(f"distances have shape {distances.shape}; expected [queries, gallery]")
    bad = np.flatnonzero(~np.isfinite(distances).all(axis=1))
    if len(bad):
        raise EmbeddingError(f"distances of queries {bad[:5].tolist()} are not finite")
    _check_rows(distances.shape[0], query_labels, "rows of distances")
    _check_rows(distances.shape[1], gallery_labels, "columns of distances")
    return rank(DistanceScores(distances), query_labels, gallery_labels, protocol)


def rank(
    scores: Scores, query_labels: Labels, gallery_labels: Labels, protocol: str = "instance"
) -> Ranking:
    """Ranks the gallery for each query by any scores; see `rank_embeddings`."""
    chosen = find_protocol(protocol)
    check_pair(query_labels, gallery_labels)
    queries, gallery = numbered(query_labels, gallery_labels)
    _warn_of_lost_products(queries, gallery)
    matches: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(queries)
    reasons = np.full(len(queries), "", dtype=f"<U{max(map(len, SKIP_REASONS))}")
    for pool in chosen.pools(queries, gallery):
        unit = RANKING_UNITS[chosen.unit](pool, queries, gallery, scores)
        block = max(1, _SCORES_AT_ONCE // max(len(pool.gallery), 1))
        for start in range(0, len(pool.queries), block):
            rows = pool.queries[start : start + block]
            for query, line in zip(rows.tolist(), unit.block(rows), strict=True):
                relevant = unit.relevant(query)
                if len(relevant):
                    matches[query] = match_ranks(line, relevant)
                else:
                    reasons[query] = _skip_reason(unit, query)
    ranks = np.concatenate([np.empty(0, dtype=np.int64), *matches])
    counts = np.array([len(each) for each in matches], dtype=np.int64)
    return Ranking(protocol, ranks, counts, reasons, query_labels)


def match_ranks(
    scores: Float[np.ndarray, " gallery"], matches: Int[np.ndarray, " matches"]
) -> Int[np.ndarray, " matches"]:
    """Compute the ranks of some gallery rows, from 1 and ascending; ties are ranked by row.

    Ranks are counted rather than sorted for, as long as the matches are few: the gallery is large.
    """
    of_matches = scores[matches]
    if len(matches) < _SORTED_FROM:
        above = np.array([np.count_nonzero(scores > score) for score in of_matches])
    else:
        above = len(scores) - np.searchsorted(np.sort(scores), of_matches, side="right")
    equal = np.array([np.count_nonzero(scores[:row] == scores[row]) for row in matches])
    return np.sort(above + equal) + 1


def _skip_reason(unit: RankingUnit, query: int) -> str:
    """Reason why a query without a correct match has none."""
    product = unit.same_product(query)
    if len(product) == 0:
        return NO_MATCH
    return ONLY_ITSELF if np.isin(product, unit.same_photo(query)).all() else ONLY_SAME_CAMERA


def _warn_of_lost_products(queries: Labels, gallery: Labels) -> None:
    """Warns where photo ids look like row numbers rather than ids of photos."""
    losing = loses_other_products(queries, gallery)
    if losing.sum() > _LOSING_QUERIES * len(losing):
        warnings.warn(
            f"{losing.sum()} of {len(losing)} queries lose gallery photos of another product, "
            f"because the photo ids are equal; that is right only if these photos show several "
            f"products. If the ids are row numbers, leave them out",
            stacklevel=4,  # the caller of rank_embeddings or rank_distances
        )


def _check_rows(rows: int, labels: Labels, name: str) -> None:
    if rows != len(labels):
        raise EmbeddingError(f"found {rows} {name} but labels of {len(labels)} photos")


def _mean(values: Shaped[np.ndarray, " values"]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
