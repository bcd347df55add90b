"""RGB pixels of images in any of Pillow's modes.

Images are converted in strips: the only copy of a whole photo is the result.
"""

import functools
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Shaped, UInt8
from PIL import Image

from fashion_jax.datasets.colour import Transform

_STRIP = 2**20  # pixels
_TRANSPARENT = ("RGBA", "LA", "PA", "RGBa", "La")
_UNDIVIDED = {"RGBa": "RGBA", "La": "LA"}  # Pillow converts these only to their own kind


def rgb_pixels(
    image: Image.Image, to_srgb: Transform | None
) -> UInt8[np.ndarray, "height width 3"]:
    """Convert an image to RGB; transparency becomes white, the background of shops' pages.

    Args:
        image: the image, decoded.
        to_srgb: conversion of its colours, if they need one.
    """
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    to_bytes = _to_bytes(image)
    top = 0
    for strip in _strips(image):
        converted = _with_alpha(to_bytes(strip))
        if to_srgb is not None:
            converted = to_srgb(converted)
        if converted.mode == "RGBA":
            white = Image.new("RGBA", converted.size, (255, 255, 255, 255))
            converted = Image.alpha_composite(white, converted)
        if converted.mode != "RGB":
            converted = converted.convert("RGB")
        pixels[top : top + strip.height] = np.asarray(converted)
        top += strip.height
    return pixels


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        yield image
        return
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _with_alpha(image: Image.Image) -> Image.Image:
    """Convert a transparent image of any mode to RGBA."""
    if image.mode not in _TRANSPARENT and "transparency" not in image.info:
        return image
    if image.mode in _UNDIVIDED:
        image = image.convert(_UNDIVIDED[image.mode])
    return image.convert("RGBA") if image.mode != "RGBA" else image


def _to_bytes(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """Choose the reduction of strips of an image to 8 bits."""
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits
    if image.mode in ("I", "F"):
        return functools.partial(_from_thirty_two_bits, white=_white_level(image))
    return lambda strip: strip


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    levels = (np.asarray(image).astype(np.uint32) + 128) // 257  # 65535 / 255
    return Image.fromarray(levels.astype(np.uint8))


def _from_thirty_two_bits(image: Image.Image, white: int) -> Image.Image:
    levels = np.rint(np.nan_to_num(_values(image) * (255 / white)))
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def _white_level(image: Image.Image) -> int:
    """Guess the white level, which a 32-bit image does not record: 1, 255 or 65535."""
    highest = max(np.nanmax(_values(strip), initial=0) for strip in _strips(image))
    return 1 if highest <= 1 else 255 if highest <= 255 else 65535


def _values(image: Image.Image) -> Shaped[np.ndarray, "height width"]:
    with np.errstate(invalid="ignore"):  # of NaN there are many kinds
        return np.asarray(image).astype(np.float64)
