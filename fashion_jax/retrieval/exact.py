"""Exact search: the reference that every other index is measured against."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float32, Int32

from fashion_jax.retrieval.index import EmbeddingError, Neighbours, check_embeddings, check_k

GALLERY_BLOCK = 8192
QUERY_BLOCK = 1024

Best = tuple[Float32[Array, "queries k"], Int32[Array, "queries k"]]


class ExactIndex:
    """Cosine similarity to every row, in blocks on a device.

    Scores are accumulated in float32. Memory beside the gallery is a few times
    `query_block · (block_size + k)` floats, never queries × gallery.
    """

    def __init__(
        self, gallery: Any, block_size: int = GALLERY_BLOCK, query_block: int = QUERY_BLOCK
    ) -> None:
        """Puts the gallery on the default device.

        Args:
            gallery: [rows, dimensions], L2-normalised, any float dtype, at least one row.
            block_size: gallery rows compared at once.
            query_block: queries compared at once, at most.

        Raises:
            EmbeddingError: if the gallery is not what `check_embeddings` asks for, or is empty.
        """
        checked = check_embeddings(gallery, "gallery embeddings")
        if len(checked) == 0:
            raise EmbeddingError("the gallery is empty: there is nothing to search in")
        self._gallery_gd = jnp.asarray(checked)
        self._block_size = min(block_size, len(checked))
        self._query_block = query_block

    def __len__(self) -> int:
        """Rows in the gallery."""
        return self._gallery_gd.shape[0]

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._gallery_gd.shape[1]

    def search(self, queries: Any, k: int) -> Neighbours:
        """Finds the k most similar rows; see `fashion_jax.retrieval.index.Index.search`."""
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        block = min(self._query_block, _power_of_two_from(len(queries_qd)))
        rows = np.empty((len(queries_qd), k), dtype=np.int32)
        scores = np.empty((len(queries_qd), k), dtype=np.float32)
        for start in range(0, len(queries_qd), block):
            part_qd = queries_qd[start : start + block]
            found = self._search_block(part_qd, block, k)
            stop = start + len(part_qd)
            scores[start:stop], rows[start:stop] = (array[: len(part_qd)] for array in found)
        return Neighbours(rows=rows, scores=scores)

    def _search_block(
        self, queries_qd: Float32[np.ndarray, "queries dimensions"], block: int, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        # Padded, so that any number of queries runs through few compiled programs.
        padded_qd = np.pad(queries_qd, ((0, block - len(queries_qd)), (0, 0)))
        found = _search(jnp.asarray(padded_qd), self._gallery_gd, k, self._block_size)
        return jax.device_get(found)


def _power_of_two_from(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


@functools.partial(jax.jit, static_argnames=("k", "block_size"))
def _search(
    queries_qd: Float32[Array, "queries dimensions"],
    gallery_gd: Float32[Array, "gallery dimensions"],
    k: int,
    block_size: int,
) -> Best:
    """Scores and rows of the k best, the gallery taken block by block."""
    count = gallery_gd.shape[0]

    def merge_block(best: Best, block: Int32[Array, ""]) -> tuple[Best, None]:
        # The last block is moved back to be whole; rows that it has in common with the one
        # before must not be found twice.
        first_new = block * block_size
        start = jnp.minimum(first_new, count - block_size)
        part_gd = lax.dynamic_slice_in_dim(gallery_gd, start, block_size)
        rows = start + jnp.arange(block_size, dtype=jnp.int32)
        scores = jnp.matmul(queries_qd, part_gd.T, precision=lax.Precision.HIGHEST)
        scores = jnp.where((rows < first_new)[None, :], -jnp.inf, scores)
        return _merge(best, scores, rows, k), None

    shape = (queries_qd.shape[0], k)
    nothing = jnp.full(shape, -jnp.inf, jnp.float32), jnp.zeros(shape, jnp.int32)
    blocks = jnp.arange(-(-count // block_size), dtype=jnp.int32)
    return lax.scan(merge_block, nothing, blocks)[0]


def _merge(
    best: Best, scores: Float32[Array, "queries block"], rows: Int32[Array, " block"], k: int
) -> Best:
    """The k best of those so far and a block's.

    `top_k` prefers the earlier of equals, and earlier blocks stand first: ties go by row.
    """
    new_scores, columns = lax.top_k(scores, min(k, scores.shape[1]))
    all_scores = jnp.concatenate([best[0], new_scores], axis=1)
    all_rows = jnp.concatenate([best[1], rows[columns]], axis=1)
    top_scores, chosen = lax.top_k(all_scores, k)
    return top_scores, jnp.take_along_axis(all_rows, chosen, axis=1)
