"""Euclidean distances between rows, at least in float32."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fashion_jax.losses.masking import at_least_float32

# Keeps the square root's gradient finite; a pair nearer than 1e-6 gets no gradient at all.
SMALLEST_SQUARED_DISTANCE = 1e-12


def squared_distances(
    a: Float[Array, "a features"], b: Float[Array, "b features"]
) -> Float[Array, "a b"]:
    """All pairs' squared Euclidean distances, ‖a‖² − 2a·b + ‖b‖², never below 0.

    Fast (one matrix product) but inexact for pairs that are much nearer to each other than to
    the origin: good for choosing pairs. Measure the chosen ones with `paired_distances`.

    Args:
        a: rows.
        b: rows.

    Returns:
        Squared distance of each row of `a` to each row of `b`.
    """
    a, b = at_least_float32(a), at_least_float32(b)
    products = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
    squares_a, squares_b = jnp.sum(a * a, axis=1), jnp.sum(b * b, axis=1)
    return jnp.maximum(squares_a[:, None] - 2.0 * products + squares_b[None, :], 0.0)


def paired_distances(
    a: Float[Array, "pairs features"], b: Float[Array, "pairs features"]
) -> Float[Array, " pairs"]:
    """Euclidean distance of each row of `a` to the same row of `b`: sqrt(max(d², 1e-12)).

    Args:
        a: rows.
        b: rows.

    Returns:
        Distances, at least 1e-6; their gradients are finite everywhere.
    """
    difference = at_least_float32(a) - at_least_float32(b)
    squares = jnp.sum(difference * difference, axis=1)
    return jnp.sqrt(jnp.maximum(squares, SMALLEST_SQUARED_DISTANCE))
