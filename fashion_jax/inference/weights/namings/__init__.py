"""The frameworks whose names are known, in the order in which they are tried."""

from fashion_jax.inference.weights.naming import Naming
from fashion_jax.inference.weights.namings import convolutional, reid, transformers

NAMINGS: tuple[Naming, ...] = (
    *reid.NAMINGS,
    *transformers.NAMINGS,
    *convolutional.NAMINGS,
)
