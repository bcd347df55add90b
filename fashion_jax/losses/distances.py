"""Euclidean and cosine distances between rows, at least in float32."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fashion_jax.losses.masking import at_least_float32

# Keeps the square root's gradient finite; a pair nearer than 1e-6 gets no gradient.
SMALLEST_SQUARED_DISTANCE = 1e-12
# Keeps the gradient of a direction finite; a row shorter than 1e-6 is left shorter than 1.
SMALLEST_SQUARED_NORM = 1e-12

EUCLIDEAN, COSINE = "euclidean", "cosine"


def l2_normalise(rows: Float[Array, "rows features"]) -> Float[Array, "rows features"]:
    """Rows x of length 1: x / sqrt(max(‖x‖², 1e-12)), at least in float32.

    Example:
        >>> import jax.numpy as jnp
        >>> [round(x, 3) for x in l2_normalise(jnp.array([[3.0, 4.0]]))[0].tolist()]
        [0.6, 0.8]
    """
    rows = at_least_float32(rows)
    squares = jnp.sum(rows * rows, axis=1, keepdims=True)
    return rows * jax.lax.rsqrt(jnp.maximum(squares, SMALLEST_SQUARED_NORM))


def is_cosine(distance: str) -> bool:
    """Whether `distance` is `cosine`.

    Raises:
        ValueError: if it is neither `cosine` nor `euclidean`.
    """
    if distance not in (EUCLIDEAN, COSINE):
        raise ValueError(f"distance is {distance!r}; it has to be {EUCLIDEAN!r} or {COSINE!r}")
    return distance == COSINE


def squared_distances(
    a: Float[Array, "a features"], b: Float[Array, "b features"]
) -> Float[Array, "a b"]:
    """All pairs' squared Euclidean distances, ‖a‖² − 2a·b + ‖b‖², never below 0.

    Fast (one matrix product) but inexact for pairs that are much nearer to each other than to
    the origin: good for choosing pairs. `paired_distances` measures the chosen ones.
    """
    a, b = at_least_float32(a), at_least_float32(b)
    products = dot_products(a, b)
    squares_a, squares_b = jnp.sum(a * a, axis=1), jnp.sum(b * b, axis=1)
    return jnp.maximum(squares_a[:, None] - 2.0 * products + squares_b[None, :], 0.0)


def dot_products(a: Float[Array, "a features"], b: Float[Array, "b features"]) -> Array:
    """All pairs' dot products, at least in float32 on every platform."""
    a, b = at_least_float32(a), at_least_float32(b)
    return jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)


def cosines(a: Float[Array, "a features"], b: Float[Array, "b features"]) -> Float[Array, "a b"]:
    """All pairs' cosines."""
    return dot_products(l2_normalise(a), l2_normalise(b))


def paired_distances(
    a: Float[Array, "pairs features"],
    b: Float[Array, "pairs features"],
    distance: str = EUCLIDEAN,
) -> Float[Array, " pairs"]:
    """Distance of each row of `a` to the same row of `b`, exact for rows close together as well.

    Gradients are finite everywhere.

    Args:
        a: first row of each pair.
        b: second row of each pair.
        distance: `euclidean`, sqrt(max(d², 1e-12)), or `cosine`, 1 − cos = ‖a/‖a‖ − b/‖b‖‖² / 2.
    """
    if is_cosine(distance):
        difference = l2_normalise(a) - l2_normalise(b)
        return 0.5 * jnp.sum(difference * difference, axis=1)
    difference = at_least_float32(a) - at_least_float32(b)
    squares = jnp.sum(difference * difference, axis=1)
    return jnp.sqrt(jnp.maximum(squares, SMALLEST_SQUARED_DISTANCE))


def pairwise_distances(
    a: Float[Array, "a features"], b: Float[Array, "b features"], distance: str = EUCLIDEAN
) -> Float[Array, "a b"]:
    """All pairs' distances as `paired_distances` defines them, up to rounding.

    Euclidean distances are taken about the mean of `b`: the rounding error grows with the distance
    from there, no longer with that from the origin.
    """
    if is_cosine(distance):
        return 1.0 - cosines(a, b)
    middle = jax.lax.stop_gradient(jnp.mean(at_least_float32(b), axis=0))[None, :]
    squares = squared_distances(at_least_float32(a) - middle, at_least_float32(b) - middle)
    return jnp.sqrt(jnp.maximum(squares, SMALLEST_SQUARED_DISTANCE))
