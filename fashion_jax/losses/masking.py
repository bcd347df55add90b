"""Padding rows, and what every loss does about them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int


def at_least_float32(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Raises bfloat16 and float16 to float32; float32 and float64 stay as they are."""
    return x if jnp.finfo(x.dtype).bits >= 32 else x.astype(jnp.float32)


def all_valid(identities: Int[Array, " batch"]) -> Bool[Array, " batch"]:
    """The mask of a batch without padding."""
    return jnp.ones(identities.shape, dtype=bool)


def zero_padding(
    x: Float[Array, "batch width"], valid: Bool[Array, " batch"]
) -> Float[Array, "batch width"]:
    """Rows of `x` in at least float32, padding rows replaced by zeros.

    Replaced and not multiplied: 0 times a padding row's NaN would still be NaN, in the gradient
    too.
    """
    return jnp.where(valid[:, None], at_least_float32(x), 0.0)


def masked_mean(values: Float[Array, "*shape"], mask: Bool[Array, "*shape"]) -> Float[Array, ""]:
    """Mean of the values under the mask; 0 where there are none."""
    count = jnp.sum(mask).astype(values.dtype)
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(count, 1.0)


def weighted_mean(
    values: Float[Array, " batch"], mask: Bool[Array, " batch"], weights: Float[Array, " batch"]
) -> Float[Array, ""]:
    """Mean of the values under the mask, each counting by its weight; 0 where there are none."""
    counted = jnp.where(mask, weights, 0.0)
    total = jnp.sum(counted)
    return jnp.sum(jnp.where(mask, values, 0.0) * counted) / jnp.where(total > 0, total, 1.0)


def log_one_plus_sum_exp(
    exponents: Float[Array, "rows columns"], mask: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """log(1 + Σ exp(x)) over the columns under the mask; 0 where there are none."""
    masked = jnp.where(mask, exponents, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.maximum(jnp.max(masked, axis=1), 0.0))
    powers = jnp.where(mask, jnp.exp(jnp.where(mask, exponents, 0.0) - largest[:, None]), 0.0)
    return largest + jnp.log(jnp.exp(-largest) + jnp.sum(powers, axis=1))


def log_sum_exp(
    exponents: Float[Array, "rows columns"], mask: Bool[Array, "rows columns"]
) -> Float[Array, " rows"]:
    """Log Σ exp(x) over the columns under the mask; 0, without a gradient, where there are none."""
    some = jnp.any(mask, axis=1)
    masked = jnp.where(mask, exponents, -jnp.inf)
    largest = jax.lax.stop_gradient(jnp.where(some, jnp.max(masked, axis=1), 0.0))
    # The exponent under no mask is replaced before it is raised: it may be too large, or NaN.
    powers = jnp.exp(jnp.where(mask, exponents - largest[:, None], 0.0))
    total = jnp.sum(jnp.where(mask, powers, 0.0), axis=1)
    return jnp.where(some, largest + jnp.log(jnp.where(some, total, 1.0)), 0.0)
