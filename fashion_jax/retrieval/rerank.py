"""k-reciprocal re-ranking (Zhong et al. 2017, arXiv:1701.08398) of galleries of any size.

A photo's distance to a query is mixed with the Jaccard distance of their neighbourhoods:

    (1 − λ) · (1 − Σ min(v, w) / Σ max(v, w)) + λ · d² / max d²

where v and w are the encodings of `k_reciprocal.py`. Neighbours come from any index, encodings are
sparse, and distances are made for some queries at a time: nothing grows with the square of the
number of photos, but the time of an exact search does.
"""

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int32
from tqdm import tqdm

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError, Index, Neighbours, check_embeddings, check_k
from fashion_jax.retrieval.k_reciprocal import Reciprocal, encodings
from fashion_jax.retrieval.memory import require_memory

# Entries of encodings that are met at a time, for some 200 MB of temporary arrays.
_MEETINGS_AT_ONCE = 2**23
# What an index other than the exact one is asked for a photo's farthest distance with.
_SAMPLE = 4096
_SEARCHED_AT_ONCE = 4096
# Squared distances below are rounding errors of float32: photos that are alike.
_ALIKE = np.float32(1e-5)


class Reranked:
    """Queries and a gallery, ready for distances between them."""

    def __init__(
        self,
        queries: Any,
        gallery: Any,
        settings: Reciprocal | None = None,
        index: Index | None = None,
        progress: bool = False,
    ) -> None:
        """Finds the neighbours of all photos, queries among them, and encodes them.

        Args:
            queries: [queries, dimensions], L2-normalised.
            gallery: [gallery, dimensions], L2-normalised.
            settings: by default the paper's.
            index: of queries and gallery together, in this order; by default exact search. With
                another one a photo's farthest distance is that in a random sample of the photos.
            progress: whether to show a bar.

        Raises:
            EmbeddingError: if embeddings are not what `check_embeddings` asks for, or the index is
                not of as many photos.
            MemoryNeedError: if there is too little memory.
        """
        self.settings = settings or Reciprocal()
        self._queries_qd = check_embeddings(queries, "query embeddings")
        self._gallery_gd = check_embeddings(
            gallery, "gallery embeddings", self._queries_qd.shape[1]
        )
        photos = len(self._queries_qd) + len(self._gallery_gd)
        if index is not None and len(index) != photos:
            raise EmbeddingError(
                f"re-ranking takes an index of queries and gallery together, of {photos:,} photos; "
                f"the one given has {len(index):,}"
            )
        need = memory_need(photos, self._queries_qd.shape[1], self.settings)
        require_memory(need, f"re-ranking of {photos:,} photos (k1 = {self.settings.k1})")
        all_nd = np.concatenate([self._queries_qd, self._gallery_gd])
        neighbours, farthest = _neighbours(all_nd, self.settings.k1 + 1, index, progress)
        encoded = encodings(all_nd, neighbours, farthest, self.settings)
        count = len(self._queries_qd)
        self._farthest = farthest[:count]
        self._encoded_queries = encoded[:count]
        # By column: the gallery photos whose encodings have a photo in them.
        self._encoded_gallery = encoded[count:].tocsc()

    @property
    def queries(self) -> int:
        """Number of queries."""
        return len(self._queries_qd)

    @property
    def gallery(self) -> int:
        """Number of gallery photos."""
        return len(self._gallery_gd)

    def distances(
        self, queries: Int[np.ndarray, " some"], top: int | None = None
    ) -> Float32[np.ndarray, "some gallery"]:
        """Final distances of some queries to the whole gallery.

        Args:
            queries: their rows.
            top: re-rank only so many photos nearest to each query, equals by row; the others stay
                behind them in their old order, at distances from 1 on.

        Raises:
            FashionJaxError: if `top` is below 1.
        """
        if top is not None and top < 1:
            raise FashionJaxError(f"re-ranking takes at least the first photo, got top = {top}")
        original = self._original(queries)
        # In place where it can be: a block of distances may have 256 MiB.
        final = self._shared(queries)
        final /= 2 - final  # rows sum up to 1, so that Σ max = 2 − Σ min
        np.subtract(1, final, out=final)
        final *= np.float32(1 - self.settings.original_weight)
        final += np.float32(self.settings.original_weight) * original
        if top is not None and top < final.shape[1]:
            np.copyto(final, original + 1, where=_behind(original, top))
        return final

    def search(self, k: int, top: int | None = None, block: int = 256) -> Neighbours:
        """The k nearest gallery photos of each query by the final distance.

        Args:
            k: how many, at least 1; all of the gallery where it has fewer photos.
            top: see `distances`.
            block: queries at a time.

        Returns:
            Rows of the gallery, nearest first, equals by row; scores are negated distances.

        Raises:
            EmbeddingError: if k is below 1.
        """
        k = check_k(k, self.gallery)
        rows = np.empty((self.queries, k), dtype=np.int32)
        scores = np.empty((self.queries, k), dtype=np.float32)
        for start in range(0, self.queries, block):
            part = np.arange(start, min(start + block, self.queries))
            distances = self.distances(part, top)
            order = np.argsort(distances, axis=1, kind="stable")[:, :k]
            rows[part], scores[part] = order, -np.take_along_axis(distances, order, axis=1)
        return Neighbours(rows=rows, scores=scores)

    def _original(self, queries: Int[np.ndarray, " some"]) -> np.ndarray:
        """d² divided by each query's largest, over queries and gallery."""
        distances = self._queries_qd[queries] @ self._gallery_gd.T
        np.multiply(distances, -2, out=distances)
        distances += 2
        np.maximum(distances, 0, out=distances)
        distances /= self._farthest[queries, None]
        return distances

    def _shared(self, queries: Int[np.ndarray, " some"]) -> np.ndarray:
        """Σ min(v, w) of some queries' encodings with those of the whole gallery."""
        shared = np.zeros((len(queries), self.gallery), dtype=np.float32)
        for place, query in enumerate(queries.tolist()):
            photos, values = self._row(query)
            for part in _divided(photos, self._encoded_gallery.indptr):
                self._meet(photos[part], values[part], shared[place])
        return shared

    def _row(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """The photos in a query's encoding, and their weights."""
        start, end = self._encoded_queries.indptr[query : query + 2]
        return self._encoded_queries.indices[start:end], self._encoded_queries.data[start:end]

    def _meet(self, photos: np.ndarray, values: np.ndarray, shared: np.ndarray) -> None:
        """Adds min(v, w) at every gallery photo whose encoding has one of the photos, too."""
        matrix = self._encoded_gallery
        starts, counts = matrix.indptr[photos], np.diff(matrix.indptr)[photos]
        ends = np.cumsum(counts)
        where = np.arange(counts.sum()) + np.repeat(starts - (ends - counts), counts)
        least = np.minimum(np.repeat(values, counts), matrix.data[where])
        rows = matrix.indices[where]
        shared += np.bincount(rows, weights=least, minlength=len(shared)).astype(np.float32)


def memory_need(photos: int, dimensions: int, settings: Reciprocal) -> int:
    """Bytes that re-ranking takes beside the embeddings that it is given, as a cautious estimate.

    Args:
        photos: queries and gallery together.
        dimensions: of an embedding.
        settings: of the re-ranking.
    """
    # The embeddings once more, joined; twice while an exact index takes them over.
    embeddings = 2 * photos * dimensions * 4
    neighbours = photos * (settings.k1 + 1) * 8
    # An expanded neighbourhood has about twice as many photos as the first one, an averaged
    # encoding k2 of them at most; each entry is a weight and a row, and sorted once more by column.
    entries = photos * 2 * (settings.k1 + 1) * (1 + settings.k2)
    # 1 GiB for what is made at a time: entries that meet, and a ranking's block of distances.
    return embeddings + neighbours + 2 * 8 * entries + 2**30


def _neighbours(
    all_nd: Float32[np.ndarray, "photos dimensions"],
    count: int,
    index: Index | None,
    progress: bool,
) -> tuple[np.ndarray, Float32[np.ndarray, " photos"]]:
    """The nearest photos of every photo, and the largest squared distance of each."""
    exact = index if isinstance(index, ExactIndex) else None
    if index is None:
        index = exact = ExactIndex(all_nd)
    rows = np.empty((len(all_nd), min(count, len(all_nd))), dtype=np.int32)
    lowest = np.empty(len(all_nd), dtype=np.float32)
    sample = _sample(all_nd) if exact is None else all_nd[:0]
    bar = tqdm(total=len(all_nd), desc="neighbours", unit="photo", disable=not progress)
    with bar:
        for start in range(0, len(all_nd), _SEARCHED_AT_ONCE):
            part = slice(start, min(start + _SEARCHED_AT_ONCE, len(all_nd)))
            if exact is not None:
                found, lowest[part] = exact.search_with_lowest(all_nd[part], count)
            else:
                found = index.search(all_nd[part], count)
                lowest[part] = (all_nd[part] @ sample.T).min(axis=1)
            rows[part] = _with_itself(found.rows, start)
            bar.update(len(found.rows))
    return rows, np.maximum(2 - 2 * lowest, _ALIKE)


def _with_itself(rows: Int32[np.ndarray, "photos found"], start: int) -> np.ndarray:
    """Puts each photo in the last place, where many copies or an approximate index left it out.

    A photo without itself among its neighbours could be nobody's, and have an encoding of nothing.
    """
    itself = np.arange(start, start + len(rows), dtype=np.int32)
    missing = ~(rows == itself[:, None]).any(axis=1)
    rows = rows.copy()
    rows[missing, -1] = itself[missing]
    return rows


def _behind(distances: Float32[np.ndarray, "some gallery"], top: int) -> np.ndarray:
    """Whether a photo is not among the `top` nearest of a query, equals by row."""
    last = np.partition(distances, top - 1, axis=1)[:, top - 1, None]
    nearer, equal = distances < last, distances == last
    room = top - np.count_nonzero(nearer, axis=1, keepdims=True)
    equal &= np.cumsum(equal, axis=1, dtype=np.int32) <= room
    return ~(nearer | equal)


def _sample(all_nd: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return all_nd[rng.choice(len(all_nd), min(_SAMPLE, len(all_nd)), replace=False)]


def _divided(photos: np.ndarray, starts: np.ndarray) -> list[slice]:
    """Parts of a query's photos that meet few enough entries of the gallery's at a time."""
    totals = np.cumsum(np.diff(starts)[photos])
    if len(totals) == 0 or totals[-1] <= _MEETINGS_AT_ONCE:
        return [slice(0, len(photos))]
    cuts = np.flatnonzero(np.diff(totals // _MEETINGS_AT_ONCE)) + 1
    edges = [0, *cuts.tolist(), len(photos)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
