"""Exact retrieval metrics over full rankings, without ever holding a full ranking.

The rank of each right answer is counted from the scores of one query, and all metrics follow from
those ranks. The tests hold a worked example.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.protocol import Labels, Pool, ignored, pools, with_photo_numbers
from fashion_jax.retrieval.index import EmbeddingError, check_embeddings

ACCURACY_RANKS = (1, 5, 10, 20, 50)

NO_MATCH = "no_match_in_gallery"
ONLY_SAME_CAMERA = "only_same_camera_matches"
ONLY_ITSELF = "only_itself_matches"
SKIP_REASONS = (NO_MATCH, ONLY_SAME_CAMERA, ONLY_ITSELF)

# 64 MiB of float32 scores at a time.
_SCORES_AT_ONCE = 2**24

# Scores of some queries against some gallery rows; a fresh array, which may be written to.
ScoreBlock = Callable[
    [Int[np.ndarray, " queries"], Int[np.ndarray, " gallery"]],
    Float[np.ndarray, "queries gallery"],
]


class NothingToMeasureError(FashionJaxError):
    """No query has a right answer in the gallery."""


@dataclasses.dataclass(frozen=True)
class CategoryMetrics:
    """Metrics of one category's queries.

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


@dataclasses.dataclass(frozen=True)
class Ranking:
    """What became of each query; metrics are computed from this.

    Attributes:
        protocol: name from `fashion_jax.evaluation.protocol.PROTOCOLS`.
        average_precision: mean of the precision at each right answer's rank, over the full
            ranking; NaN where the query was skipped.
        first_match: rank of the first right answer, from 1; 0 where the query was skipped.
        skip_reason: one of `SKIP_REASONS`, or "" where the query was measured.
        category: of each query.
    """

    protocol: str
    average_precision: Float[np.ndarray, " queries"]
    first_match: Int[np.ndarray, " queries"]
    skip_reason: Shaped[np.ndarray, " queries"]
    category: Shaped[np.ndarray, " queries"]

    @property
    def measured(self) -> Bool[np.ndarray, " queries"]:
        """Queries with a right answer to find."""
        return self.first_match > 0

    def skipped(self) -> dict[str, int]:
        """Number of queries skipped for each reason, zeros included."""
        return {reason: int(np.sum(self.skip_reason == reason)) for reason in SKIP_REASONS}

    def metrics(self, ranks: Sequence[int] = ACCURACY_RANKS) -> dict[str, float]:
        """Means over the measured queries, named such as `instance/mAP` and `instance/Acc@20`.

        Args:
            ranks: the k of each `Acc@k`: the share of queries with a right answer in the top k.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        measured = self._require_measured()
        mean_ap = float(np.mean(self.average_precision[measured]))
        first = self.first_match[measured]
        accuracies = {f"{self.protocol}/Acc@{k}": float(np.mean(first <= k)) for k in ranks}
        return {f"{self.protocol}/mAP": mean_ap, **accuracies}

    def cmc(self, length: int) -> Float[np.ndarray, " length"]:
        """Cumulative matching characteristic: Acc@1, Acc@2, ..., Acc@length.

        Raises:
            NothingToMeasureError: if every query was skipped.
        """
        first = self.first_match[self._require_measured()]
        found_at = np.bincount(np.minimum(first, length + 1), minlength=length + 2)
        return np.cumsum(found_at[1 : length + 1]) / len(first)

    def per_category(self) -> dict[str, CategoryMetrics]:
        """Metrics of each category of queries, by name."""
        return {
            str(category): self._category_metrics(self.category == category)
            for category in np.unique(self.category)
        }

    def _category_metrics(self, chosen: Bool[np.ndarray, " queries"]) -> CategoryMetrics:
        measured = chosen & self.measured
        count = int(np.sum(measured))
        return CategoryMetrics(
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

    Memory beside the embeddings is one block of queries against the gallery, 64 MiB of scores, or
    one query's where the gallery is larger than that.

    Args:
        queries: [queries, dimensions], L2-normalised.
        gallery: [gallery, dimensions], L2-normalised.
        query_labels: one value a query.
        gallery_labels: one value a gallery photo.
        protocol: a name from `fashion_jax.evaluation.protocol.PROTOCOLS`.

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

    def score(query_rows: np.ndarray, gallery_rows: np.ndarray) -> np.ndarray:
        return queries_qd[query_rows] @ _rows_of(gallery_gd, gallery_rows).T

    return _rank(score, query_labels, gallery_labels, protocol)


def rank_distances(
    distances: Float[np.ndarray, "queries gallery"],
    query_labels: Labels,
    gallery_labels: Labels,
    protocol: str = "instance",
) -> Ranking:
    """Ranks the gallery for each query by distances that are known already, such as re-ranked ones.

    Args:
        distances: smaller is better; equals are ranked by row.
        query_labels: one value a query.
        gallery_labels: one value a gallery photo.
        protocol: a name from `fashion_jax.evaluation.protocol.PROTOCOLS`.

    Returns:
        What became of each query.

    Raises:
        EmbeddingError: if distances are not finite, or their shape does not fit.
        ProtocolError: if there is no such protocol.
    """
    bad = np.flatnonzero(~np.isfinite(distances).all(axis=1))
    if len(bad):
        raise EmbeddingError(f"distances of queries {bad[:5].tolist()} are not finite")
    _check_rows(distances.shape[0], query_labels, "rows of distances")
    _check_rows(distances.shape[1], gallery_labels, "columns of distances")

    def score(query_rows: np.ndarray, gallery_rows: np.ndarray) -> np.ndarray:
        return -distances[np.ix_(query_rows, gallery_rows)]

    return _rank(score, query_labels, gallery_labels, protocol)


def average_precision(ranks: Int[np.ndarray, " matches"]) -> float:
    """Mean of the precision at each right answer's rank.

    Args:
        ranks: of all the right answers, from 1, rising; at least one.

    Returns:
        (1/R) Σ i / ranks[i], with i from 1 to R.
    """
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def match_ranks(
    scores: Float[np.ndarray, " gallery"], matches: Int[np.ndarray, " matches"]
) -> Int[np.ndarray, " matches"]:
    """Ranks, from 1 and rising, of some gallery rows; equal scores are ranked by row.

    A rank is counted and not sorted for: the matches are few, the gallery is large.
    """
    ahead = [
        np.count_nonzero(scores > scores[row]) + np.count_nonzero(scores[:row] == scores[row])
        for row in matches
    ]
    return np.sort(np.array(ahead, dtype=np.int64)) + 1


def _rank(
    score: ScoreBlock, query_labels: Labels, gallery_labels: Labels, protocol: str
) -> Ranking:
    count = len(query_labels)
    query_labels, gallery_labels = with_photo_numbers(query_labels, gallery_labels)
    ranking = Ranking(
        protocol=protocol,
        average_precision=np.full(count, np.nan),
        first_match=np.zeros(count, dtype=np.int64),
        skip_reason=np.full(count, "", dtype=f"<U{max(map(len, SKIP_REASONS))}"),
        category=query_labels.category,
    )
    for pool in pools(protocol, query_labels, gallery_labels):
        block = max(1, _SCORES_AT_ONCE // max(len(pool.gallery), 1))
        labels = gallery_labels.take(pool.gallery)
        for start in range(0, len(pool.queries), block):
            part = Pool(pool.queries[start : start + block], pool.gallery)
            _rank_block(ranking, score(*part), part, query_labels, labels)
    return ranking


def _rank_block(
    ranking: Ranking,
    scores_qg: Float[np.ndarray, "queries gallery"],
    pool: Pool,
    query_labels: Labels,
    gallery_labels: Labels,
) -> None:
    """Fills in the results of a block of queries."""
    for query, scores in zip(pool.queries, scores_qg, strict=True):
        same_product = gallery_labels.identity == query_labels.identity[query]
        left_out = ignored(query_labels, int(query), gallery_labels)
        matches = np.flatnonzero(same_product & ~left_out)
        if len(matches) == 0:
            itself = gallery_labels.photo[same_product] == query_labels.photo[query]
            ranking.skip_reason[query] = _skip_reason(itself)
            continue
        scores[left_out] = -np.inf
        ranks = match_ranks(scores, matches)
        ranking.average_precision[query] = average_precision(ranks)
        ranking.first_match[query] = ranks[0]


def _skip_reason(itself: Bool[np.ndarray, " same_product"]) -> str:
    """Why a query has nothing to find.

    Args:
        itself: for each gallery photo of the query's product, all of which are left out, whether
            it is the photo that the query shows.
    """
    if len(itself) == 0:
        return NO_MATCH
    return ONLY_ITSELF if itself.all() else ONLY_SAME_CAMERA


def _rows_of(
    array_gd: Float32[np.ndarray, "gallery dimensions"], rows: Int[np.ndarray, " chosen"]
) -> Float32[np.ndarray, "chosen dimensions"]:
    """Some rows, rising; without a copy where they are all of them."""
    return array_gd if len(rows) == len(array_gd) else array_gd[rows]


def _check_rows(rows: int, labels: Labels, name: str) -> None:
    if rows != len(labels):
        raise EmbeddingError(f"there are {rows} {name} but labels of {len(labels)} photos")


def _mean(values: Shaped[np.ndarray, " values"]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
