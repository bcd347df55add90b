"""Known frameworks, in the order in which they are tried."""

from fashion_jax.inference.weights.weight_map import WeightMap
from fashion_jax.inference.weights.weight_maps import convolutional, reid, transformers

WEIGHT_MAPS: tuple[WeightMap, ...] = (
    *reid.WEIGHT_MAPS,
    *transformers.WEIGHT_MAPS,
    *convolutional.WEIGHT_MAPS,
)
