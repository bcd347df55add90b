"""What every index answers to, and what every index refuses."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float32, Int32

from fashion_jax.errors import FashionJaxError

# bfloat16 rounding leaves the length of a normalised row within 0.004 of 1.
UNIT_LENGTH_TOLERANCE = 0.01
_ROWS_NAMED = 5


class EmbeddingError(FashionJaxError):
    """Embeddings that cannot be indexed, searched or ranked."""


class IndexKindError(FashionJaxError):
    """An unknown kind of index."""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """The nearest gallery rows of each query, best first.

    Attributes:
        rows: rows of the gallery.
        scores: cosine similarities; higher is better.
    """

    rows: Int32[np.ndarray, "queries k"]
    scores: Float32[np.ndarray, "queries k"]


@runtime_checkable
class Index(Protocol):
    """Search over the L2-normalised embeddings of a gallery."""

    def __len__(self) -> int:
        """Rows in the gallery."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def search(self, queries: Any, k: int) -> Neighbours:
        """Finds the k gallery rows most similar to each query.

        Args:
            queries: [queries, dimensions], L2-normalised, any float dtype.
            k: how many; all of the gallery where it has fewer rows.

        Returns:
            min(k, len(self)) distinct rows for each query, best first, equals by row.

        Raises:
            EmbeddingError: if the queries are not what `check_embeddings` asks for, or k < 1.
        """
        ...


def check_embeddings(
    embeddings: Any, name: str, dimensions: int | None = None
) -> Float32[np.ndarray, "rows dimensions"]:
    """Returns embeddings as contiguous float32, or says what is wrong with them.

    Args:
        embeddings: [rows, dimensions], NumPy or JAX, any float dtype, each row of length 1.
        name: what they are, for the message, such as `queries`.
        dimensions: length that each embedding must have, if known.

    Returns:
        The embeddings, not copied where they already are contiguous float32.

    Raises:
        EmbeddingError: if they have another shape or dtype, or rows (which are named) that are
            not finite or not L2-normalised.
    """
    array = np.asarray(embeddings)
    _check_form(array, name, dimensions)
    array = np.ascontiguousarray(array, dtype=np.float32)
    # One pass without a temporary copy: a sum of squares is finite only if all of its terms are.
    lengths = np.sqrt(np.einsum("rd,rd->r", array, array))
    _refuse_rows(~np.isfinite(lengths), name, "contain NaN or infinite values")
    off = np.abs(lengths - 1.0) > UNIT_LENGTH_TOLERANCE
    _refuse_rows(off, name, f"are not L2-normalised (lengths {_first(lengths[off])})")
    return array


def check_k(k: int, rows: int) -> int:
    """Returns min(k, rows).

    Raises:
        EmbeddingError: if k is below 1.
    """
    if k < 1:
        raise EmbeddingError(f"a search returns at least 1 neighbour; it was asked for k = {k}")
    return min(int(k), rows)


def by_score_then_row(neighbours: Neighbours) -> Neighbours:
    """Orders each query's neighbours: higher scores first, equals by row."""
    order = np.lexsort((neighbours.rows, -neighbours.scores), axis=1)
    return Neighbours(
        rows=np.take_along_axis(neighbours.rows, order, axis=1),
        scores=np.take_along_axis(neighbours.scores, order, axis=1),
    )


def _check_form(array: np.ndarray, name: str, dimensions: int | None) -> None:
    if array.ndim != 2:
        raise EmbeddingError(
            f"{name} have shape {array.shape}; wanted is [rows, dimensions], "
            f"one photo being [1, dimensions]"
        )
    # jax.dtypes: NumPy does not know bfloat16 for a float.
    if not jax.dtypes.issubdtype(array.dtype, np.floating):
        raise EmbeddingError(f"{name} have dtype {array.dtype}; embeddings are floats")
    if array.shape[1] == 0 or dimensions not in (None, array.shape[1]):
        raise EmbeddingError(
            f"{name} have {array.shape[1]} dimensions; wanted are {dimensions or 'at least 1'}. "
            f"They probably come from another model"
        )


def _refuse_rows(bad: np.ndarray, name: str, what: str) -> None:
    rows = np.flatnonzero(bad)
    if len(rows):
        raise EmbeddingError(f"{len(rows)} of {len(bad)} {name} {what}: rows {_first(rows)}")


def _first(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:,.6g}" for value in values[:_ROWS_NAMED])
    return shown + (", ..." if len(values) > _ROWS_NAMED else "")
