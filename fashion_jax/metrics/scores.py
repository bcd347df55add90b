"""Where a ranking's scores come from: some queries against a part of the gallery at a time."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.normalise import l2_normalise
from fashion_jax.retrieval.rerank import Reranked

QueryRows = Int[np.ndarray, " queries"]
GalleryRows = Int[np.ndarray, " gallery"]
# 256 MiB of float32 distances to the whole gallery at a time.
_DISTANCES_AT_ONCE = 2**26
# Scores of some queries, higher is better; a fresh array, which may be written to.
ScoreBlock = Callable[[QueryRows], Float[np.ndarray, "queries gallery"]]


class NoCentroidsError(FashionJaxError):
    """Centroids of scores that no embeddings are known of."""


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
        """Keeps both; nothing is copied."""
        self._queries_qd = queries_qd
        self._gallery_gd = gallery_gd

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """Copies the rows, unless they are the whole gallery as it lies."""
        whole = np.array_equal(rows, np.arange(len(self._gallery_gd)))
        return self._block(self._gallery_gd if whole else self._gallery_gd[rows])

    def centroids(self, rows: GalleryRows, starts: Int[np.ndarray, " items"]) -> ScoreBlock:
        """The means are of embeddings as they are searched with: L2-normalised."""
        if len(starts) == 0:
            return self._block(self._gallery_gd[:0])
        return self._block(l2_normalise(np.add.reduceat(self._gallery_gd[rows], starts, axis=0)))

    def centroid(self, query: int, rows: GalleryRows) -> float:
        """See `centroids`."""
        mean = l2_normalise(self._gallery_gd[rows].sum(axis=0, keepdims=True))
        return float(self._queries_qd[query] @ mean[0])

    def _block(self, against_ud: Float32[np.ndarray, "units dimensions"]) -> ScoreBlock:
        return lambda queries: self._queries_qd[queries] @ against_ud.T


class _WithoutCentroids:
    """Scores between photos, from which none of means follow."""

    def centroids(self, rows: GalleryRows, starts: Int[np.ndarray, " items"]) -> ScoreBlock:
        """Raises NoCentroidsError."""
        raise NoCentroidsError(
            "centroids are means of embeddings; of distances between photos there are none. "
            "Rank embeddings, or choose another protocol"
        )

    def centroid(self, query: int, rows: GalleryRows) -> float:
        """Never asked for, as there are no `centroids`."""
        raise NoCentroidsError("distances between photos have no centroids")


class DistanceScores(_WithoutCentroids):
    """Distances that are known already, negated."""

    def __init__(self, distances: Float[np.ndarray, "queries gallery"]) -> None:
        """Keeps them; smaller is better."""
        self._distances = distances

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """See `Scores.against`."""
        return lambda queries: -self._distances[np.ix_(queries, rows)]


class RerankedScores(_WithoutCentroids):
    """Negated distances of k-reciprocal re-ranking, made for some queries at a time."""

    def __init__(self, reranked: Reranked, top: int | None = None) -> None:
        """Re-ranks all of the gallery, or each query's nearest `top` photos of all of it."""
        self._reranked = reranked
        self._top = top

    def against(self, rows: GalleryRows) -> ScoreBlock:
        """Neighbourhoods are those in the whole gallery, whichever rows are asked for."""
        gallery = self._reranked.gallery
        whole = np.array_equal(rows, np.arange(gallery))
        # A block of queries is as large as the asked rows allow, which may be few of the gallery.
        step = max(1, _DISTANCES_AT_ONCE // max(gallery, 1))

        def block(queries: QueryRows) -> Float[np.ndarray, "queries gallery"]:
            scores = np.empty((len(queries), len(rows)), dtype=np.float32)
            for start in range(0, len(queries), step):
                part = slice(start, start + step)
                distances = self._reranked.distances(queries[part], self._top)
                np.negative(distances if whole else distances[:, rows], out=scores[part])
            return scores

        return block
