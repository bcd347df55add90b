"""Rows of a batch: which of them count, reductions over them, and distances between them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

MEAN, NONE = "mean", "none"
# Keeps the square root's gradient finite; a pair nearer than 1e-6 gets no gradient.
SMALLEST_SQUARED_DISTANCE = 1e-12
# Keeps the gradient of a direction finite; a row shorter than 1e-6 is left shorter than 1.
SMALLEST_SQUARED_NORM = 1e-12

EUCLIDEAN, COSINE = "euclidean", "cosine"


def at_least_float32(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Raise bfloat16 and float16 to float32; float32 and float64 stay unchanged."""
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


def all_rows(identities: Int[Array, " batch"]) -> Bool[Array, " batch"]:
    """Mask of a batch in which every row counts."""
    return jnp.ones(identities.shape, dtype=bool)


def zero_padding(
    x: Float[Array, "batch width"], where: Bool[Array, " batch"] | None
) -> Float[Array, "batch width"]:
    """Rows of `x` in at least float32, those that do not count replaced by zeros.

    Replaced and not multiplied: 0 times a padding row's NaN would still be NaN, in the gradient
    as well. All rows count if `where` is `None`.
    """
    x = at_least_float32(x)
    return x if where is None else jnp.where(where[:, None], x, 0.0)


def check_reduction(reduction: str, *, no_rows: str = "") -> None:
    """Refuses an unknown reduction, or "none" for a loss without a value of each row.

    Args:
        reduction: argument of a loss.
        no_rows: reason for the missing values of rows; empty for a loss that has them.

    Raises:
        ValueError: if the loss does not know the reduction.
    """
    if reduction not in (MEAN, NONE):
        raise ValueError(f'reduction is {reduction!r}; it has to be "mean" or "none"')
    if reduction == NONE and no_rows:
        raise ValueError(f'reduction="none" asks for a value of each row, but {no_rows}')


def reduce_rows(
    values: Float[Array, " batch"],
    where: Bool[Array, " batch"],
    reduction: str,
    weights: Float[Array, " batch"] | None = None,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean of the rows that count, or under "none" the rows themselves, 0 for the others.

    Args:
        values: value of each row.
        where: rows that count.
        reduction: "mean" or "none".
        weights: weight of each row in the mean; `None` for equal ones.
    """
    check_reduction(reduction)
    if reduction == NONE:
        return jnp.where(where, values, 0.0)
    if weights is None:
        return masked_mean(values, where)
    counted = jnp.where(where, weights, 0.0)
    total = jnp.sum(counted)
    return jnp.sum(jnp.where(where, values, 0.0) * counted) / jnp.where(total > 0, total, 1.0)


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of the values under the mask; 0 if the mask is empty."""
    count = jnp.sum(mask).astype(values.dtype)
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(count, 1.0)


def log_one_plus_sum_exp(
    exponents: Float[Array, "rows columns"], mask: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """log(1 + Σ exp(x)) over the columns under the mask; 0 if the row's mask is empty."""
    masked = jnp.where(mask, exponents, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(masked, axis=1), 0.0))
    powers = jnp.where(mask, jnp.exp(jnp.where(mask, exponents, 0.0) - largest[:, None]), 0.0)
    return largest + jnp.log(jnp.exp(-largest) + jnp.sum(powers, axis=1))


def log_sum_exp(
    exponents: Float[Array, "rows columns"], mask: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """Log Σ exp(x) over the columns under the mask; 0 without a gradient if it is empty."""
    some = jnp.any(mask, axis=1)
    masked = jnp.where(mask, exponents, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.where(some, jnp.max(masked, axis=1), 0.0))
    # The exponent under no mask is replaced before it is raised: it may be too large, or NaN.
    powers = jnp.exp(jnp.where(mask, exponents - largest[:, None], 0.0))
    total = jnp.sum(jnp.where(mask, powers, 0.0), axis=1)
    return jnp.where(some, largest + jnp.log(jnp.where(some, total, 1.0)), 0.0)


def l2_normalise(rows: Float[Array, "rows features"]) -> Float[Array, "rows features"]:
    """Rows x of length 1: x / sqrt(max(‖x‖², 1e-12)), at least in float32.

    Examples:
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
    products = jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)
    squares_a, squares_b = jnp.sum(a * a, axis=1), jnp.sum(b * b, axis=1)
    return jnp.maximum(squares_a[:, None] - 2.0 * products + squares_b[None, :], 0.0)


def cosines(a: Float[Array, "a features"], b: Float[Array, "b features"]) -> Float[Array, "a b"]:
    """All pairs' cosines, at least in float32 on every platform."""
    a, b = l2_normalise(a), l2_normalise(b)
    return jnp.matmul(a, b.T, precision=jax.lax.Precision.HIGHEST)


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
