"""Scores of queries against a part of the gallery, for a block of queries at a time."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from fashion_jax.inference.normalise import l2_normalise
from fashion_jax.metrics.labels import MetricsError
from fashion_jax.retrieval.rerank import Reranked

QueryRows = Int[np.ndarray, " queries"]
GalleryRows = Int[np.ndarray, " gallery"]
# Distances to the whole gallery computed at once: 256 MiB in float32.
_DISTANCES_AT_ONCE = 2**26
# Returns scores of some queries, higher is better, in a new array that the caller may change.
ScoreBlock = Callable[[QueryRows], Float[np.ndarray, "queries gallery"]]


@runtime_checkable
class Scores(Protocol):
    """Scores of queries against gallery photos, and against means of gallery photos."""

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """Scores against some rows of the gallery, in their order."""
        ...

    def centroids(self, rows: GalleryRows, starts: Int[np.ndarray, " items"]) -> ScoreBlock:
        """Scores against the normalised means of rows[starts[i] : starts[i + 1]]."""
        ...

    def centroid(self, query: int, rows: GalleryRows) -> float:
        """Score of one query against the normalised mean of some rows."""
        ...


class EmbeddingScores:
    """Cosine similarities of L2-normalised embeddings."""

    def __init__(
        self,
        queries_qd: Float32[np.ndarray, "queries dimensions"],
        gallery_gd: Float32[np.ndarray, "gallery dimensions"],
    ) -> None:
        """Keep both arrays without copying them."""
        self._queries_qd = queries_qd
        self._gallery_gd = gallery_gd

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """See `Scores.against`; copies the rows unless they are the whole gallery in order."""
        whole = np.array_equal(rows, np.arange(len(self._gallery_gd)))
        return self._block(self._gallery_gd if whole else self._gallery_gd[rows])

    def centroids(self, rows: GalleryRows, starts: Int[np.ndarray, " items"]) -> ScoreBlock:
        """See `Scores.centroids`; means are taken of the L2-normalised embeddings."""
        if len(starts) == 0:
            return self._block(self._gallery_gd[:0])
        return self._block(l2_normalise(np.add.reduceat(self._gallery_gd[rows], starts, axis=0)))

    def centroid(self, query: int, rows: GalleryRows) -> float:
        """See `Scores.centroid`."""
        mean = l2_normalise(self._gallery_gd[rows].sum(axis=0, keepdims=True))
        return float(self._queries_qd[query] @ mean[0])

    def _block(self, against_ud: Float32[np.ndarray, "units dimensions"]) -> ScoreBlock:
        return lambda queries: self._queries_qd[queries] @ against_ud.T


class _WithoutCentroids:
    """Scores between photos, from which those of their means do not follow."""

    def centroids(self, rows: GalleryRows, starts: Int[np.ndarray, " items"]) -> ScoreBlock:
        """Raise MetricsError."""
        raise MetricsError(
            "centroids are means of embeddings and cannot be computed from distances between "
            "photos; rank embeddings, or use a protocol without centroids"
        )

    def centroid(self, query: int, rows: GalleryRows) -> float:
        """Raise MetricsError."""
        raise MetricsError("distances between photos have no centroids")


class DistanceScores(_WithoutCentroids):
    """Precomputed distances, negated."""

    def __init__(self, distances: Float[np.ndarray, "queries gallery"]) -> None:
        """Keep the distances; smaller is better."""
        self._distances = distances

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """See `Scores.against`."""
        return lambda queries: -self._distances[np.ix_(queries, rows)]


class RerankedScores(_WithoutCentroids):
    """Negated distances of k-reciprocal re-ranking, computed for a block of queries at a time."""

    def __init__(self, reranked: Reranked, top: int | None = None) -> None:
        """Re-ranks the nearest `top` photos of each query, by default the whole gallery."""
        self._reranked = reranked
        self._top = top

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """See `Scores.against`; neighbourhoods always are those in the whole gallery."""
        gallery = self._reranked.gallery
        whole = np.array_equal(rows, np.arange(gallery))
        # The caller chooses blocks of queries by the number of rows, which may be much smaller
        # than the gallery.
        step = max(1, _DISTANCES_AT_ONCE // max(gallery, 1))

        def block(queries: QueryRows) -> Float[np.ndarray, "queries gallery"]:
            scores = np.empty((len(queries), len(rows)), dtype=np.float32)
            for start in range(0, len(queries), step):
                part = slice(start, start + step)
                distances = self._reranked.distances(queries[part], self._top)
                np.negative(distances if whole else distances[:, rows], out=scores[part])
            return scores

        return block
