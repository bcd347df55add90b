"""Input of a backbone: the size of a photo, and the scale of its pixels."""

import dataclasses

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, UInt8

from fashion_jax.config import ExperimentConfig
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.numerics import accumulation_dtype

Channels = tuple[float, float, float]  # red, green, blue


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Size and scale of a photo as a network sees it.

    Attributes:
        height: in pixels.
        width: in pixels.
        mean: subtracted from the red, green and blue channel, in units of 0..255.
        std: divisor of the channels after that, in units of 0..255.
    """

    height: int
    width: int
    mean: Channels
    std: Channels

    def normalise(
        self, images: UInt8[Array, "batch height width 3"], dtype: DTypeLike = jnp.float32
    ) -> Float[Array, "batch height width 3"]:
        """Return `(images - mean) / std`, computed in at least float32, as `dtype`."""
        compute = accumulation_dtype(dtype)
        mean = jnp.asarray(self.mean, compute).reshape(1, 1, 1, 3)
        std = jnp.asarray(self.std, compute).reshape(1, 1, 1, 3)
        return ((images.astype(compute) - mean) / std).astype(dtype)


def preprocessing_for(config: ExperimentConfig) -> Preprocessing:
    """Return the config's preprocessing.

    The scale of pixels is the one that the backbone's published weights were trained with, where
    the config does not say otherwise (`image.pixel_mean`, `image.pixel_std`).

    Raises:
        UnknownBackboneError: the backbone is unknown.
    """
    spec, image = backbone_spec(config.model.backbone), config.image
    return Preprocessing(
        image.height,
        image.width,
        image.pixel_mean or spec.mean,
        image.pixel_std or spec.std,
    )
