"""Embeddings of length 1."""

from typing import TypeVar

import jax
import numpy as np

Rows = TypeVar("Rows", jax.Array, np.ndarray)


def l2_normalise(rows: Rows) -> Rows:
    """Scales each row to length 1, x / max(‖x‖, 1e-12); a row of zeros stays.

    Args:
        rows: [rows, features], NumPy or JAX, any float dtype.
    """
    numpy = rows.__array_namespace__()
    lengths = numpy.linalg.norm(rows, axis=1, keepdims=True)
    return rows / numpy.maximum(lengths, numpy.asarray(1e-12, dtype=rows.dtype))


def l2_normalise_or(rows: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """L2-normalises sums of embeddings.

    Args:
        rows: sums [rows, features].
        otherwise: [rows, features], taken in place of sums that cancel out (length below 1e-6).
    """
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(lengths > 1e-6, l2_normalise(rows), otherwise)
