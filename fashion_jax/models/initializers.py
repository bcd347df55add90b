"""Initial weights."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Int, Key

# Random numbers are drawn in pieces of one length: XLA takes half a second to compile the
# generator for each new shape, and a network has fifty.
PIECE = 1 << 16


def normal(
    key: Key[Array, ""], shape: Sequence[int], std: float, dtype: DTypeLike
) -> Float[Array, "..."]:
    """Return numbers from N(0, std²), drawn in float32."""
    count = math.prod(shape)
    pieces = [_piece(key, index) for index in range(-(-count // PIECE))]
    values = jnp.concatenate(pieces)[:count].reshape(shape)
    return values.astype(dtype) * jnp.asarray(std, dtype)


@jax.jit
def _piece(key: Key[Array, ""], index: Int[ArrayLike, ""]) -> Float[Array, "numbers"]:
    return jax.random.normal(jax.random.fold_in(key, index), (PIECE,), jnp.float32)
