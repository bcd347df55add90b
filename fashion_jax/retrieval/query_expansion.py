"""Queries and galleries that borrow from their neighbours.

Average query expansion (Chum et al. 2007) adds a query's first answers to it; α-query expansion
(Radenović et al. 2018, arXiv:1711.02512) weights them by their similarity to the power α; database
augmentation (Turcot and Lowe 2009; Arandjelović and Zisserman 2012) does the same with every
photo of the gallery. All of them give embeddings that are searched with as any other.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.normalise import l2_normalise_or
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import Index, Neighbours, check_embeddings

# Rows are searched for so many at a time, and fewer where they gather more neighbours than
# 64 MiB of float32.
_ROWS_AT_ONCE = 4096
_GATHERED_AT_ONCE = 2**24


def expand_queries(
    queries: Any, gallery: Any, neighbours: int, alpha: float = 0.0, index: Index | None = None
) -> Float32[np.ndarray, "queries dimensions"]:
    """Adds to each query its nearest gallery photos: q + Σ max(0, sᵢ)^α · xᵢ, normalised.

    Args:
        queries: [queries, dimensions], L2-normalised.
        gallery: [gallery, dimensions], L2-normalised.
        neighbours: how many are added; 0 leaves the queries as they are.
        alpha: 0 for average query expansion, in which all count alike; 3 is usual otherwise.
        index: of the gallery; by default exact search.

    Returns:
        L2-normalised.

    Raises:
        EmbeddingError: if embeddings are not what `check_embeddings` asks for.
        FashionJaxError: if neighbours or α are negative.
    """
    queries_qd = check_embeddings(queries, "query embeddings")
    gallery_gd = check_embeddings(gallery, "gallery embeddings", queries_qd.shape[1])
    _check(neighbours, alpha)
    if neighbours == 0 or len(queries_qd) == 0:
        return queries_qd
    index = ExactIndex(gallery_gd) if index is None else index
    expanded = np.empty_like(queries_qd)
    step = _rows_at_once(neighbours, gallery_gd)
    for start in range(0, len(queries_qd), step):
        part = slice(start, start + step)
        found = index.search(queries_qd[part], neighbours)
        expanded[part] = _with_neighbours(queries_qd[part], gallery_gd, found, alpha)
    return expanded


def augment_database(
    gallery: Any, neighbours: int, alpha: float = 0.0, index: Index | None = None
) -> Float32[np.ndarray, "gallery dimensions"]:
    """Adds to each gallery photo its nearest others, as `expand_queries` does to queries.

    Args:
        gallery: [gallery, dimensions], L2-normalised.
        neighbours: how many others are added; 0 leaves the gallery as it is.
        alpha: see `expand_queries`.
        index: of the gallery; by default exact search.

    Returns:
        L2-normalised.

    Raises:
        EmbeddingError: if the gallery is not what `check_embeddings` asks for.
        FashionJaxError: if neighbours or α are negative.
    """
    gallery_gd = check_embeddings(gallery, "gallery embeddings")
    _check(neighbours, alpha)
    if neighbours == 0 or len(gallery_gd) < 2:
        return gallery_gd
    index = ExactIndex(gallery_gd) if index is None else index
    augmented = np.empty_like(gallery_gd)
    step = _rows_at_once(neighbours, gallery_gd)
    for start in range(0, len(gallery_gd), step):
        part_gd = gallery_gd[start : start + step]
        found = index.search(part_gd, neighbours + 1)
        others = _without_itself(found, np.arange(start, start + len(part_gd)))
        augmented[start : start + len(part_gd)] = _with_neighbours(
            part_gd, gallery_gd, others, alpha
        )
    return augmented


def _check(neighbours: int, alpha: float) -> None:
    if neighbours < 0 or alpha < 0:
        raise FashionJaxError(
            "an expansion takes 0 or more neighbours and an α of at least 0, got "
            f"{neighbours} and {alpha}"
        )


def _rows_at_once(neighbours: int, gallery_gd: np.ndarray) -> int:
    rows, dimensions = gallery_gd.shape
    return max(
        1, min(_ROWS_AT_ONCE, _GATHERED_AT_ONCE // (min(neighbours, rows) * dimensions or 1))
    )


def _with_neighbours(
    rows_qd: np.ndarray, gallery_gd: np.ndarray, found: Neighbours, alpha: float
) -> np.ndarray:
    weights = np.maximum(found.scores, 0) ** np.float32(alpha)
    sums = rows_qd + np.einsum("qk,qkd->qd", weights, gallery_gd[found.rows])
    # Neighbours that cancel a row out leave nothing to search with: it stays as it was.
    return l2_normalise_or(sums, rows_qd)


def _without_itself(found: Neighbours, rows: np.ndarray) -> Neighbours:
    """Drops the row itself, or the last neighbour where copies of it have pushed it out."""
    itself = found.rows == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    count, k = found.rows.shape
    return Neighbours(
        rows=found.rows[~itself].reshape(count, k - 1),
        scores=found.scores[~itself].reshape(count, k - 1),
    )
