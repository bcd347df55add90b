"""Accumulation: the dtype of sums, and the runs that long sums are split into."""

import jax.numpy as jnp
from jax.typing import DTypeLike


def accumulation_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Return the dtype for sums and statistics: float64 for float64, float32 for narrower floats.

    Unlike `jnp.promote_types` it works under JAX's strict dtype promotion.
    """
    dtype = jnp.dtype(dtype)
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of a positive number up to a limit, or 1."""
    return max(divisor for divisor in range(1, max(limit, 1) + 1) if number % divisor == 0)
