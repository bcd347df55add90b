"""Cross-batch memory (Wang et al. 2020, arXiv:1912.06798, section 3.3): a queue of features."""

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.masking import zero_padding
from fashion_jax.losses.pairs import NOBODY, Memory


def empty_memory(slots: int, width: int, dtype: DTypeLike) -> Memory:
    """A memory of nothing."""
    return Memory(
        features=jnp.zeros((slots, width), dtype),
        identities=jnp.full(slots, NOBODY, jnp.int32),
        domains=jnp.zeros(slots, jnp.int32),
    )


def remember(
    memory: Memory,
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    domains: Int[Array, " batch"],
    valid: Bool[Array, " batch"],
) -> Memory:
    """Puts a batch in and forgets the oldest rows; padding goes in as empty slots."""
    fresh = Memory(
        zero_padding(jax.lax.stop_gradient(features), valid),
        jnp.where(valid, identities, NOBODY),
        domains,
    )

    def queue(old: Array, new: Array) -> Array:
        return jnp.concatenate([old[len(new) :], new.astype(old.dtype)])

    return jax.tree.map(queue, memory, fresh)
