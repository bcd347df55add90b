"""Exact retrieval over full rankings, without ever holding a full ranking.

The ranks of each query's right answers are counted from the scores of one block of queries at a
time, and all metrics follow from those ranks; see `fashion_jax.metrics.query_metrics`.
"""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.errors import FashionJaxError
from fashion_jax.metrics.confidence import Interval, confidence_intervals
from fashion_jax.metrics.protocol import Labels, find_protocol, with_photo_numbers
from fashion_jax.metrics.query_metrics import ACCURACY_RANKS, query_metrics
from fashion_jax.metrics.ranking_units import COMPETITIONS, Competition
from fashion_jax.metrics.scores import DistanceScores, EmbeddingScores, Scores
from fashion_jax.retrieval.index import EmbeddingError, check_embeddings

NO_MATCH = "no_match_in_gallery"
ONLY_SAME_CAMERA = "only_same_camera_matches"
ONLY_ITSELF = "only_itself_matches"
SKIP_REASONS = (NO_MATCH, ONLY_SAME_CAMERA, ONLY_ITSELF)

# 256 MiB of float32 scores at a time.
_SCORES_AT_ONCE = 2**26
# From so many right answers on, sorting all scores is faster than comparing with each of them.
_SORTED_FROM = 64


class NothingToMeasureError(FashionJaxError):
    """No query has a right answer in the gallery."""


@dataclasses.dataclass(frozen=True)
class GroupMetrics:
    """Metrics of some of the queries, those of one category or domain.

    Attributes:
        queries: how many were measured.
        skipped: how many had no right answer to find.
        mean_average_precision: NaN where no query was measured.
        accuracy_at_1: NaN where no query was measured.
    """

    queries: int
    skipped: int
    mean_average_precision: float
    accuracy_at_1: float

    def to_json(self) -> dict[str, int | float | None]:
        """Plain values; None where no query was measured."""
        return {
            "queries": self.queries,
            "skipped": self.skipped,
            "mAP": self.mean_average_precision if self.queries else None,
            "Acc@1": self.accuracy_at_1 if self.queries else None,
        }


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What became of each query; metrics are computed from this.

    Attributes:
        protocol: name from `fashion_jax.metrics.protocol.PROTOCOLS`.
        ranks: of all right answers, from 1, query after query, rising within each.
        relevant: number of right answers of each query; 0 where it was skipped.
        skip_reason: one of `SKIP_REASONS`, or "" where the query was measured.
        queries: what is known about the queries.
    """

    protocol: str
    ranks: Int[np.ndarray, " answers"]
    relevant: Int[np.ndarray, " queries"]
    skip_reason: Shaped[np.ndarray, " queries"]
    queries: Labels

    @property
    def measured(self) -> Bool[np.ndarray, " queries"]:
        """Queries with a right answer to find."""
        return self.relevant > 0

    @functools.cached_property
    def first_match(self) -> Int[np.ndarray, " queries"]:
        """Rank of the first right answer; 0 where the query was skipped."""
        first = np.zeros(len(self.relevant), dtype=np.int64)
        starts = np.cumsum(self.relevant) - self.relevant
        first[self.measured] = self.ranks[starts[self.measured]]
        return first

    @functools.cached_property
    def average_precision(self) -> Float[np.ndarray, " queries"]:
        """Over the full ranking; NaN where the query was skipped."""
        values = np.full(len(self.relevant), np.nan)
        if self.measured.any():
            values[self.measured] = self.per_query(depths=())["mAP"]
        return values

    def per_query(
        self, depths: Sequence[int] = ACCURACY_RANKS
    ) -> dict[str, Float[np.ndarray, " measured"]]:
        """Every metric of each measured query, by its name without the protocol."""
        return query_metrics(self.ranks, self.relevant[self.measured], depths)

    def skipped(self) -> dict[str, int]:
        """Number of queries skipped for each reason, zeros included."""
        return {reason: int(np.sum(self.skip_reason == reason)) for reason in SKIP_REASONS}

    def metrics(self, depths: Sequence[int] = ACCURACY_RANKS) -> dict[str, float]:
        """Means over the measured queries, named such as `instance/mAP` and `instance/Acc@20`.

        Args:
            depths: the k of each `Acc@k`, `Recall@k` and `nDCG@k`.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        self._require_measured()
        values = self.per_query(depths)
        return {f"{self.protocol}/{name}": float(np.mean(each)) for name, each in values.items()}

    def intervals(self, depths: Sequence[int] = ACCURACY_RANKS) -> dict[str, Interval]:
        """95 % bootstrap intervals of `metrics`, products drawn with all of their queries.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        measured = self._require_measured()
        found = confidence_intervals(self.per_query(depths), self.queries.identity[measured])
        return {f"{self.protocol}/{name}": interval for name, interval in found.items()}

    def cmc(self, length: int) -> Float[np.ndarray, " length"]:
        """Cumulative matching characteristic: Acc@1, Acc@2, ..., Acc@length.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        first = self.first_match[self._require_measured()]
        found_at = np.bincount(np.minimum(first, length + 1), minlength=length + 2)
        return np.cumsum(found_at[1 : length + 1]) / len(first)

    def per_category(self) -> dict[str, GroupMetrics]:
        """Metrics of each category of queries, by name."""
        categories = self.queries.category
        return {str(name): self._group(categories == name) for name in np.unique(categories)}

    def per_domain(self) -> dict[str, GroupMetrics]:
        """Metrics of the queries of each domain, by its name; domains without queries left out."""
        domains = self.queries.domain
        return {
            DOMAIN_NAMES[domain]: self._group(domains == domain)
            for domain in np.unique(domains).tolist()
        }

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
                f"none of the {len(measured)} queries has a right answer to find by the protocol "
                f"{self.protocol} ({reasons}); are query and gallery of the same dataset?"
            )
        return measured


def rank_embeddings(
    queries: Any,
    gallery: Any,
    query_labels: Labels,
    gallery_labels: Labels,
    protocol: str = "instance",
) -> Ranking:
    """Ranks the gallery for each query by cosine similarity; equals by row.

    Memory beside the embeddings is one block of queries against the gallery, 256 MiB of scores, or
    one query's where the gallery is larger than that. Protocols on items and categories copy the
    part of the gallery that they search in.

    Args:
        queries: [queries, dimensions], L2-normalised.
        gallery: [gallery, dimensions], L2-normalised.
        query_labels: one value a query.
        gallery_labels: one value a gallery photo.
        protocol: a name from `fashion_jax.metrics.protocol.PROTOCOLS`.

    Returns:
        What became of each query.

    Raises:
        EmbeddingError: if rows (which are named) are not finite or not normalised, or the number
            of rows, or dimensions, does not fit.
        ProtocolError: if there is no such protocol.
    """
    queries_qd = check_embeddings(queries, "query embeddings")
    gallery_gd = check_embeddings(gallery, "gallery embeddings", queries_qd.shape[1])
    _check_rows(len(queries_qd), query_labels, "query embeddings")
    _check_rows(len(gallery_gd), gallery_labels, "gallery embeddings")
    return rank(EmbeddingScores(queries_qd, gallery_gd), query_labels, gallery_labels, protocol)


def rank_distances(
    distances: Float[np.ndarray, "queries gallery"],
    query_labels: Labels,
    gallery_labels: Labels,
    protocol: str = "instance",
) -> Ranking:
    """Ranks the gallery for each query by distances that are known already.

    Args:
        distances: smaller is better; equals are ranked by row.
        query_labels: one value a query.
        gallery_labels: one value a gallery photo.
        protocol: a name from `fashion_jax.metrics.protocol.PROTOCOLS` without centroids.

    Returns:
        What became of each query.

    Raises:
        EmbeddingError: if distances are not finite, or their shape does not fit.
        NoCentroidsError: if the protocol is one of centroids.
        ProtocolError: if there is no such protocol.
    """
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
    queries, gallery = with_photo_numbers(query_labels, gallery_labels)
    answers: list[np.ndarray] = [np.empty(0, dtype=np.int64)] * len(queries)
    reasons = np.full(len(queries), "", dtype=f"<U{max(map(len, SKIP_REASONS))}")
    for pool in chosen.pools(queries, gallery):
        competition = COMPETITIONS[chosen.unit](pool, queries, gallery, scores)
        block = max(1, _SCORES_AT_ONCE // max(len(pool.gallery), 1))
        for start in range(0, len(pool.queries), block):
            rows = pool.queries[start : start + block]
            for query, line in zip(rows.tolist(), competition.block(rows), strict=True):
                right = competition.right(query)
                if len(right):
                    answers[query] = match_ranks(line, right)
                else:
                    reasons[query] = _skip_reason(competition, query)
    ranks = np.concatenate([np.empty(0, dtype=np.int64), *answers])
    relevant = np.array([len(each) for each in answers], dtype=np.int64)
    return Ranking(protocol, ranks, relevant, reasons, query_labels)


def match_ranks(
    scores: Float[np.ndarray, " gallery"], matches: Int[np.ndarray, " matches"]
) -> Int[np.ndarray, " matches"]:
    """Ranks, from 1 and rising, of some gallery rows; equal scores are ranked by row.

    A rank is counted and not sorted for where the matches are few: the gallery is large.
    """
    of_matches = scores[matches]
    if len(matches) < _SORTED_FROM:
        above = np.array([np.count_nonzero(scores > score) for score in of_matches])
    else:
        above = len(scores) - np.searchsorted(np.sort(scores), of_matches, side="right")
    equal = np.array([np.count_nonzero(scores[:row] == scores[row]) for row in matches])
    return np.sort(above + equal) + 1


def _skip_reason(competition: Competition, query: int) -> str:
    """Why a query has nothing to find."""
    product = competition.product(query)
    if len(product) == 0:
        return NO_MATCH
    return ONLY_ITSELF if np.isin(product, competition.itself(query)).all() else ONLY_SAME_CAMERA


def _check_rows(rows: int, labels: Labels, name: str) -> None:
    if rows != len(labels):
        raise EmbeddingError(f"there are {rows} {name} but labels of {len(labels)} photos")


def _mean(values: Shaped[np.ndarray, " values"]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
