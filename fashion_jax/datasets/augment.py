"""Training augmentations of the strong baseline (Luo et al. 2019, arXiv:1906.08332).

They work on uint8 images. Random erasing only draws its rectangle here: the device fills it after
normalisation, so that a batch travels as bytes.
"""

import math

import numpy as np
from jaxtyping import Int32, UInt8

from fashion_jax.config import AugmentConfig

_ERASE_TRIES = 100
NOTHING_ERASED = np.zeros(4, np.int32)


def augment(
    image: UInt8[np.ndarray, "height width 3"], config: AugmentConfig, rng: np.random.Generator
) -> tuple[UInt8[np.ndarray, "height width 3"], Int32[np.ndarray, "4"]]:
    """Flip, pad and crop an image, and draw the rectangle to erase from it.

    Returns:
        Image of the same size, and (top, left, height, width) of the rectangle; all 0 to erase
        nothing.
    """
    height, width = image.shape[:2]
    if rng.random() < config.flip_probability:
        image = image[:, ::-1]
    image = pad_and_crop(image, config.pad, rng)
    erased = NOTHING_ERASED
    if rng.random() < config.erase_probability:
        erased = erasing_rectangle(height, width, config, rng)
    return np.ascontiguousarray(image), erased


def pad_and_crop(
    image: UInt8[np.ndarray, "height width 3"], pad: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Pad with black on all sides and crop to the original size at a random position."""
    height, width = image.shape[:2]
    top, left = rng.integers(0, 2 * pad + 1, size=2)
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
    return padded[top : top + height, left : left + width]


def erasing_rectangle(
    height: int, width: int, config: AugmentConfig, rng: np.random.Generator
) -> Int32[np.ndarray, "4"]:
    """Draw (top, left, height, width) of random erasing (Zhong et al. 2017, arXiv:1708.04896).

    A rectangle that does not fit is drawn again, up to 100 times; after that, nothing is erased.
    """
    for _ in range(_ERASE_TRIES):
        area = rng.uniform(config.erase_area_min, config.erase_area_max) * height * width
        aspect = rng.uniform(config.erase_aspect_min, config.erase_aspect_max)
        erased_height = round(math.sqrt(area * aspect))
        erased_width = round(math.sqrt(area / aspect))
        if erased_height < height and erased_width < width:
            top = rng.integers(0, height - erased_height + 1)
            left = rng.integers(0, width - erased_width + 1)
            return np.array([top, left, erased_height, erased_width], np.int32)
    return NOTHING_ERASED
