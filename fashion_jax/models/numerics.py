"""Numbers: the dtype of sums, the runs that long sums are split into, and initial weights."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Int, Key

# Random numbers are drawn in pieces of one length: XLA takes half a second to compile the
# generator for each new shape, and a network has fifty.
PIECE = 1 << 16


def accumulation_dtype(dtype: DTypeLike) -> jnp.dtype:
    """Return the dtype for sums and statistics: float64 for float64, float32 for narrower floats.

    Unlike `jnp.promote_types` it works under JAX's strict dtype promotion.
    """
    dtype = jnp.dtype(dtype)
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of a positive number up to a limit, or 1."""
    return max(divisor for divisor in range(1, max(limit, 1) + 1) if number % divisor == 0)


class ZeroRngs(nnx.Rngs):
    """Random streams of a network whose initial weights nobody uses: its layers start from zeros.

    For a network that a file fills, or of which only the shapes are wanted: drawing takes most of
    the time of making one. Flax's own layers draw from it as from any `nnx.Rngs`.
    """


def initial_weights(
    rngs: nnx.Rngs, shape: Sequence[int], std: float, dtype: DTypeLike
) -> Float[Array, "..."]:
    """Return numbers from N(0, std²), drawn from the stream `params`; zeros for a `ZeroRngs`."""
    if isinstance(rngs, ZeroRngs):
        return jnp.zeros(shape, dtype)
    return normal(rngs.params(), shape, std, dtype)


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
