"""k-reciprocal re-ranking (Zhong et al. 2017, arXiv:1701.08398) of galleries of any size.

The final distance of a query and a gallery photo combines their original distance d with the
Jaccard distance of their neighbourhoods (equations 10 and 12):

    (1 − λ) · (1 − Σ min(v, w) / Σ max(v, w)) + λ · d² / max d²

where v and w are the encodings of `k_reciprocal.py`. Neighbours come from any index, encodings are
sparse, and distances are computed for a block of queries at a time: no memory grows with the square
of the number of photos, though the time of an exact search does.
"""

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, Int32
from tqdm import tqdm

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import EmbeddingError, Index, Neighbours, check_embeddings, check_k
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig, encodings
from fashion_jax.retrieval.memory import require_memory

# Entries of encodings compared at once, which takes some 200 MB of temporary arrays.
_MEETINGS_AT_ONCE = 2**23
# Photos in which the farthest distance is looked for if the index is not exact.
_SAMPLE = 4096
_SEARCHED_AT_ONCE = 4096
# Squared distances below this are float32 rounding errors between identical embeddings.
_ALIKE = np.float32(1e-5)


def rerank(
    queries: Any,
    gallery: Any,
    k: int,
    config: KReciprocalConfig | None = None,
    top: int | None = None,
) -> Neighbours:
    """Find the k nearest gallery photos of each query by k-reciprocal re-ranking.

    For distances to the whole gallery, such as for `rank_distances`, use `Reranked`.

    Args:
        queries: [queries, dimensions] embeddings, L2-normalised, NumPy or JAX.
        gallery: [gallery, dimensions] embeddings, L2-normalised, NumPy or JAX.
        k: number of neighbours; values above the size of the gallery return all photos.
        config: parameters of the re-ranking; by default those of the paper.
        top: number of nearest photos to re-rank for each query; by default the whole gallery.

    Returns:
        Gallery rows, nearest first, ties by row; scores are negated final distances.

    Raises:
        EmbeddingError: if embeddings fail `check_embeddings`, or k is below 1.
        FashionJaxError: if `top` is below 1, or the available memory is too small.

    Examples:
        >>> import numpy as np
        >>> gallery = np.array([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
        >>> rerank(np.array([[0.6, 0.8]]), gallery, k=3, config=KReciprocalConfig(k1=1, k2=1)).rows
        array([[1, 2, 0]], dtype=int32)
    """
    return Reranked(queries, gallery, config).search(k, top)


class Reranked:
    """k-reciprocal encodings of queries and gallery, and final distances computed from them."""

    def __init__(
        self,
        queries: Any,
        gallery: Any,
        config: KReciprocalConfig | None = None,
        index: Index | None = None,
        progress: bool = False,
    ) -> None:
        """Find the neighbours of all queries and gallery photos, and encode them.

        Args:
            queries: [queries, dimensions] embeddings, L2-normalised, NumPy or JAX.
            gallery: [gallery, dimensions] embeddings, L2-normalised, NumPy or JAX.
            config: parameters of the re-ranking; by default those of the paper.
            index: index of queries and gallery together, in this order; by default exact search.
                With any other index, a photo's farthest distance is taken in a random sample.
            progress: whether to show a progress bar.

        Raises:
            EmbeddingError: if embeddings fail `check_embeddings`, or the index has another number
                of rows.
            FashionJaxError: if the available memory is too small.
        """
        self.config = config or KReciprocalConfig()
        self._queries_qd = check_embeddings(queries, "query embeddings")
        self._gallery_gd = check_embeddings(
            gallery, "gallery embeddings", self._queries_qd.shape[1]
        )
        photos = len(self._queries_qd) + len(self._gallery_gd)
        if index is not None and len(index) != photos:
            raise EmbeddingError(
                f"re-ranking needs an index of queries and gallery together, of {photos:,} rows; "
                f"found {len(index):,} rows"
            )
        need = memory_need(photos, self._queries_qd.shape[1], self.config)
        require_memory(need, f"re-ranking of {photos:,} photos (k1 = {self.config.k1})")
        all_nd = np.concatenate([self._queries_qd, self._gallery_gd])
        neighbours, farthest = _neighbours(all_nd, self.config.k1 + 1, index, progress)
        encoded = encodings(all_nd, neighbours, farthest, self.config)
        count = len(self._queries_qd)
        self._farthest = farthest[:count]
        self._encoded_queries = encoded[:count]
        # By column: the gallery photos in whose encodings a photo has a weight.
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
        self, queries: Int[np.ndarray, " some"] | None = None, top: int | None = None
    ) -> Float32[np.ndarray, "some gallery"]:
        """Compute final distances of queries to the whole gallery.

        Args:
            queries: rows of some queries; by default all queries.
            top: number of nearest photos to re-rank for each query, ties by row; the others follow
                in their original order, at distances of 1 and more. By default the whole gallery.

        Raises:
            FashionJaxError: if `top` is below 1.
        """
        if top is not None and top < 1:
            raise FashionJaxError(f"re-ranking needs a top of at least 1, got top = {top}")
        queries = np.arange(self.queries) if queries is None else queries
        original = self._original(queries)
        # In place where possible: a block of distances may take 256 MiB.
        final = self._shared(queries)
        final /= 2 - final  # rows sum up to 1, so that Σ max = 2 − Σ min
        np.subtract(1, final, out=final)
        final *= np.float32(1 - self.config.original_weight)
        final += np.float32(self.config.original_weight) * original
        if top is not None and top < final.shape[1]:
            np.copyto(final, original + 1, where=_behind(original, top))
        return final

    def search(self, k: int, top: int | None = None, block: int = 256) -> Neighbours:
        """Find the k nearest gallery photos of each query by final distance.

        Args:
            k: number of neighbours; values above the size of the gallery return all photos.
            top: number of photos to re-rank; see `distances`.
            block: queries processed at once.

        Returns:
            Gallery rows, nearest first, ties by row; scores are negated final distances.

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
        """d², divided by the largest of each query over queries and gallery."""
        distances = self._queries_qd[queries] @ self._gallery_gd.T
        np.multiply(distances, -2, out=distances)
        distances += 2
        np.maximum(distances, 0, out=distances)
        distances /= self._farthest[queries, None]
        return distances

    def _shared(self, queries: Int[np.ndarray, " some"]) -> np.ndarray:
        """Σ min(v, w) of the encodings of some queries and of the whole gallery."""
        shared = np.zeros((len(queries), self.gallery), dtype=np.float32)
        for place, query in enumerate(queries.tolist()):
            photos, values = self._row(query)
            for part in _divided(photos, self._encoded_gallery.indptr):
                self._meet(photos[part], values[part], shared[place])
        return shared

    def _row(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """Photos in a query's encoding, and their weights."""
        start, end = self._encoded_queries.indptr[query : query + 2]
        return self._encoded_queries.indices[start:end], self._encoded_queries.data[start:end]

    def _meet(self, photos: np.ndarray, values: np.ndarray, shared: np.ndarray) -> None:
        """Add min(v, w) to every gallery photo whose encoding shares one of the photos."""
        matrix = self._encoded_gallery
        starts, counts = matrix.indptr[photos], np.diff(matrix.indptr)[photos]
        ends = np.cumsum(counts)
        where = np.arange(counts.sum()) + np.repeat(starts - (ends - counts), counts)
        least = np.minimum(np.repeat(values, counts), matrix.data[where])
        rows = matrix.indices[where]
        shared += np.bincount(rows, weights=least, minlength=len(shared)).astype(np.float32)


def memory_need(photos: int, dimensions: int, config: KReciprocalConfig) -> int:
    """Estimates the bytes that re-ranking takes on top of the embeddings, on the safe side.

    Args:
        photos: number of queries and gallery photos together.
        dimensions: length of an embedding.
        config: parameters of the re-ranking.
    """
    # One joined copy of the embeddings, and another while an exact index takes them over.
    embeddings = 2 * photos * dimensions * 4
    neighbours = photos * (config.k1 + 1) * 8
    # An expanded neighbourhood has about twice as many photos as the first one, and an averaged
    # encoding at most k2 times as many. Each entry is a weight and a row, in a second copy sorted
    # by column.
    entries = photos * 2 * (config.k1 + 1) * (1 + config.k2)
    # 1 GiB for temporary arrays: entries compared at once, and a ranking's block of distances.
    return embeddings + neighbours + 2 * 8 * entries + 2**30


def _neighbours(
    all_nd: Float32[np.ndarray, "photos dimensions"],
    count: int,
    index: Index | None,
    progress: bool,
) -> tuple[np.ndarray, Float32[np.ndarray, " photos"]]:
    """Nearest photos of every photo, and each photo's largest squared distance."""
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
    """Put a photo in the last place of its neighbours if copies or the index left it out.

    A photo that is not its own neighbour might have no reciprocal neighbour, and an empty encoding.
    """
    itself = np.arange(start, start + len(rows), dtype=np.int32)
    missing = ~(rows == itself[:, None]).any(axis=1)
    rows = rows.copy()
    rows[missing, -1] = itself[missing]
    return rows


def _behind(distances: Float32[np.ndarray, "some gallery"], top: int) -> np.ndarray:
    """True for photos that are not among the `top` nearest of a query, ties by row."""
    last = np.partition(distances, top - 1, axis=1)[:, top - 1, None]
    nearer, equal = distances < last, distances == last
    room = top - np.count_nonzero(nearer, axis=1, keepdims=True)
    equal &= np.cumsum(equal, axis=1, dtype=np.int32) <= room
    return ~(nearer | equal)


def _sample(all_nd: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    return all_nd[rng.choice(len(all_nd), min(_SAMPLE, len(all_nd)), replace=False)]


def _divided(photos: np.ndarray, starts: np.ndarray) -> list[slice]:
    """Divides a query's photos into parts that share few enough entries with the gallery."""
    totals = np.cumsum(np.diff(starts)[photos])
    if len(totals) == 0 or totals[-1] <= _MEETINGS_AT_ONCE:
        return [slice(0, len(photos))]
    cuts = np.flatnonzero(np.diff(totals // _MEETINGS_AT_ONCE)) + 1
    edges = [0, *cuts.tolist(), len(photos)]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]
