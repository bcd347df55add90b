"""Which dtype sums, statistics and distances are computed in."""

import jax.numpy as jnp
from jax.typing import DTypeLike


def at_least_float32(dtype: DTypeLike) -> jnp.dtype:
    """Returns float64 for float64, float32 for any narrower floating dtype.

    Unlike `jnp.promote_types` it also works under JAX's strict dtype promotion.
    """
    dtype = jnp.dtype(dtype)
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)
