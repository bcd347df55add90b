"""Padding rows, and what every loss does about them."""

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


def masked_mean(values: Float[Array, " batch"], mask: Bool[Array, " batch"]) -> Float[Array, ""]:
    """Mean of the values under the mask; 0 where there are none."""
    count = jnp.sum(mask).astype(values.dtype)
    return jnp.sum(jnp.where(mask, values, 0.0)) / jnp.maximum(count, 1.0)
