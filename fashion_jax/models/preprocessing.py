"""What a backbone expects of a photo: its size, and the scale of its pixels."""

import dataclasses

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt8

from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.dtypes import at_least_float32


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Size and scale of a photo as a network sees it.

    Attributes:
        height: in pixels.
        width: in pixels.
        mean: subtracted from the red, green and blue channel, in units of 0..255.
        std: what the channels are divided by after that, in units of 0..255.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def normalise(
        self, images: UInt8[Array, "batch height width 3"], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch height width 3"]:
        """Returns `(images - mean) / std`, computed in at least float32, as `dtype`."""
        compute = at_least_float32(dtype)
        mean = jnp.asarray(self.mean, compute).reshape(1, 1, 1, 3)
        std = jnp.asarray(self.std, compute).reshape(1, 1, 1, 3)
        return ((images.astype(compute) - mean) / std).astype(dtype)


def preprocessing_for(backbone: str, height: int, width: int) -> Preprocessing:
    """Returns the preprocessing that the backbone's published weights were trained with.

    Raises:
        UnknownBackboneError: there is no such backbone.
    """
    spec = backbone_spec(backbone)
    return Preprocessing(height, width, spec.mean, spec.std)
