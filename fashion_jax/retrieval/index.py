"""The index protocol, and checks of embeddings that all indexes share."""

import dataclasses
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float32, Int32

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.normalise import l2_normalise

# bfloat16 rounding keeps the length of a normalised row within 0.004 of 1.
UNIT_LENGTH_TOLERANCE = 0.01
_ROWS_NAMED = 5


class EmbeddingError(FashionJaxError):
    """Embeddings that cannot be indexed, searched or ranked."""


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Nearest gallery rows of each query, best first.

    Attributes:
        rows: rows of the gallery.
        scores: cosine similarities, or other scores of which higher is better.
    """

    rows: Int32[np.ndarray, "queries k"]
    scores: Float32[np.ndarray, "queries k"]


@runtime_checkable
class Index(Protocol):
    """Search in the L2-normalised embeddings of a gallery."""

    def __len__(self) -> int:
        """Number of rows in the gallery."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        ...

    def search(self, queries: Any, k: int) -> Neighbours:
        """Find the k gallery rows most similar to each query.

        Args:
            queries: [queries, dimensions] embeddings, L2-normalised, any float dtype.
            k: number of neighbours; values above the number of rows return all rows.

        Returns:
            min(k, len(self)) distinct rows for each query, best first, ties by row.

        Raises:
            EmbeddingError: if the queries fail `check_embeddings`, or k is below 1.
        """
        ...


def check_embeddings(
    embeddings: Any, name: str, dimensions: int | None = None, normalise: bool | None = None
) -> Float32[np.ndarray, "rows dimensions"]:
    """Convert embeddings to contiguous float32 and check their shape, values and lengths.

    Args:
        embeddings: [rows, dimensions], NumPy or JAX, any float dtype, each row of length 1.
        name: name of the array in error messages, such as `queries`.
        dimensions: required length of an embedding, if known.
        normalise: True scales rows to length 1 before the check, which rows of zeros still fail;
            False, for callers that offer the choice, names it in the error.

    Returns:
        The embeddings; not copied if they are contiguous float32 and not to be normalised.

    Raises:
        EmbeddingError: if shape or dtype are wrong, or rows (which are named) are not finite or
            not L2-normalised.
    """
    array = np.asarray(embeddings)
    _check_form(array, name, dimensions)
    array = np.ascontiguousarray(array, dtype=np.float32)
    if normalise:
        with np.errstate(invalid="ignore", over="ignore"):  # infinite rows are refused below
            array = l2_normalise(array)
    # One pass without a temporary copy: a sum of squares is finite only if all of its terms are.
    lengths = np.sqrt(np.einsum("rd,rd->r", array, array))
    bad = ~np.isfinite(lengths)
    if bad.any():
        raise EmbeddingError(_rows(bad, name, "contain NaN or infinite values"))
    bad = np.abs(lengths - 1.0) > UNIT_LENGTH_TOLERANCE
    if bad.any():
        what = f"are not L2-normalised (lengths {_first(lengths[bad])})"
        hint = "; pass normalise=True to scale them" if normalise is False else ""
        raise EmbeddingError(f"{_rows(bad, name, what)}{hint}")
    return array


def check_k(k: int, rows: int) -> int:
    """Return min(k, rows).

    Raises:
        EmbeddingError: if k is below 1.
    """
    if k < 1:
        raise EmbeddingError(f"found k = {k}; a search returns at least 1 neighbour")
    return min(int(k), rows)


def by_score_then_row(neighbours: Neighbours) -> Neighbours:
    """Sorts the neighbours of each query by score, highest first, and ties by row."""
    order = np.lexsort((neighbours.rows, -neighbours.scores), axis=1)
    return Neighbours(
        rows=np.take_along_axis(neighbours.rows, order, axis=1),
        scores=np.take_along_axis(neighbours.scores, order, axis=1),
    )


def _check_form(array: np.ndarray, name: str, dimensions: int | None) -> None:
    if array.ndim != 2:
        raise EmbeddingError(
            f"{name} have shape {array.shape}; expected [rows, dimensions], with [1, dimensions] "
            f"for a single embedding"
        )
    # jax.dtypes, because NumPy does not count bfloat16 among the floats.
    if not jax.dtypes.issubdtype(array.dtype, np.floating):
        raise EmbeddingError(f"{name} have dtype {array.dtype}; expected floats")
    if array.shape[1] == 0 or dimensions not in (None, array.shape[1]):
        raise EmbeddingError(
            f"{name} have {array.shape[1]} dimensions; expected {dimensions or 'at least 1'}. "
            f"Check that they come from the same model"
        )


def _rows(bad: np.ndarray, name: str, what: str) -> str:
    rows = np.flatnonzero(bad)
    return f"{len(rows)} of {len(bad)} {name} {what}: rows {_first(rows)}"


def _first(values: np.ndarray) -> str:
    shown = ", ".join(f"{value:,.6g}" for value in values[:_ROWS_NAMED])
    return shown + (", ..." if len(values) > _ROWS_NAMED else "")
