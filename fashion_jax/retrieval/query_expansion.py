"""Query expansion and database augmentation.

Average query expansion (Chum et al. 2007) adds the nearest gallery embeddings to a query; α-query
expansion (Radenović et al. 2018, arXiv:1711.02512) weights them by their similarity to the power α.
Database augmentation (Turcot and Lowe 2009; Arandjelović and Zisserman 2012) does the same to each
gallery embedding. The results are embeddings, to be searched as before.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.normalise import l2_normalise_or
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import Index, Neighbours, check_embeddings

# Rows searched at once; fewer if their neighbours would take more than 64 MiB in float32.
_ROWS_AT_ONCE = 4096
_GATHERED_AT_ONCE = 2**24


def expand_queries(
    queries: Any, gallery: Any, neighbours: int, alpha: float = 0.0, index: Index | None = None
) -> Float32[np.ndarray, "queries dimensions"]:
    """Add to each query its nearest gallery embeddings: q + Σ max(0, sᵢ)^α · xᵢ, normalised.

    Args:
        queries: [queries, dimensions] embeddings, L2-normalised, NumPy or JAX.
        gallery: [gallery, dimensions] embeddings, L2-normalised, NumPy or JAX.
        neighbours: number of neighbours to add; 0 returns the queries unchanged.
        alpha: exponent of the similarity s; 0 (average query expansion) weights all neighbours
            equally, 3 is usual otherwise.
        index: index of the gallery; by default exact search.

    Returns:
        [queries, dimensions] L2-normalised embeddings. Where the sum cancels out, the query itself.

    Raises:
        EmbeddingError: if embeddings fail `check_embeddings`.
        FashionJaxError: if `neighbours` or `alpha` is negative.

    Examples:
        >>> import numpy as np
        >>> gallery = np.array([[0.0, 1.0], [-1.0, 0.0]])
        >>> expand_queries(np.array([[1.0, 0.0]]), gallery, neighbours=1).round(4)
        array([[0.7071, 0.7071]], dtype=float32)
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
    """Add to each gallery embedding its nearest others, as `expand_queries` does to queries.

    Args:
        gallery: [gallery, dimensions] embeddings, L2-normalised, NumPy or JAX.
        neighbours: number of others to add; 0 returns the gallery unchanged.
        alpha: exponent of the similarity; see `expand_queries`.
        index: index of the gallery; by default exact search.

    Returns:
        [gallery, dimensions] L2-normalised embeddings.

    Raises:
        EmbeddingError: if the gallery fails `check_embeddings`.
        FashionJaxError: if `neighbours` or `alpha` is negative.
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
            f"expansion needs 0 or more neighbours and an alpha of at least 0, got {neighbours} "
            f"and {alpha}"
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
    # A sum that cancels out has no direction to search in: the row stays as it was.
    return l2_normalise_or(sums, rows_qd)


def _without_itself(found: Neighbours, rows: np.ndarray) -> Neighbours:
    """Drop the row itself, or the last neighbour if copies of the row displaced it."""
    itself = found.rows == rows[:, None]
    itself[~itself.any(axis=1), -1] = True
    count, k = found.rows.shape
    return Neighbours(
        rows=found.rows[~itself].reshape(count, k - 1),
        scores=found.scores[~itself].reshape(count, k - 1),
    )
