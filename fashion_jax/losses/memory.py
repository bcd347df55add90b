"""Cross-batch memory (Wang et al. 2020, arXiv:1912.06798, section 3.3): a queue of features."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.masking import zero_padding

NOBODY = -1  # identity of a slot that is still empty


class Memory(NamedTuple):
    """Features of earlier batches, as further candidates of the losses over pairs.

    Attributes:
        features: oldest first; without a gradient.
        identities: −1 for a slot that is still empty.
        domains: street (0) or shop (1).
    """

    features: Float[Array, "slots features"]
    identities: Int[Array, " slots"]
    domains: Int[Array, " slots"]


def empty_memory(slots: int, width: int, dtype: DTypeLike = jnp.float32) -> Memory:
    """Memory of `slots` rows, none of which is taken.

    Example:
        >>> empty_memory(slots=2, width=3).identities
        Array([-1, -1], dtype=int32)
    """
    return Memory(
        features=jnp.zeros((slots, width), dtype),
        identities=jnp.full(slots, NOBODY, jnp.int32),
        domains=jnp.zeros(slots, jnp.int32),
    )


def enqueue(
    memory: Memory,
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    domains: Int[Array, " batch"],
    where: Bool[Array, " batch"],
) -> Memory:
    """Append a batch and drop as many of the oldest rows.

    Example:
        >>> import jax.numpy as jnp
        >>> batch = jnp.ones((2, 3)), jnp.array([4, 5]), jnp.array([0, 1])
        >>> enqueue(empty_memory(3, 3), *batch, where=jnp.array([True, False])).identities
        Array([-1,  4, -1], dtype=int32)

    Args:
        memory: at least as many slots as the batch has rows.
        features: rows to append.
        identities: identity of each row.
        domains: street (0) or shop (1), of each row.
        where: rows that count; the others become empty slots.

    Returns:
        The memory after the batch.
    """
    fresh = Memory(
        zero_padding(jax.lax.stop_gradient(features), where),
        jnp.where(where, identities, NOBODY),
        domains,
    )

    def queue(old: Array, new: Array) -> Array:
        return jnp.concatenate([old[len(new) :], new.astype(old.dtype)])

    return jax.tree.map(queue, memory, fresh)
