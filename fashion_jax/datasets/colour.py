"""Colours that a file describes, as sRGB.

A phone's photo is in Display P3, a photographer's in Adobe RGB, a catalogue's in CMYK: the same
red has other numbers in each. Photos without a description are sRGB, as everywhere on the web.
"""

import contextlib
import functools
import io
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageCms

from fashion_jax.datasets.colour_description import find_profile

LARGEST_PROFILE = 4 * 2**20
"""Bytes; the largest profiles of presses have about 3 MB."""

Transform = Callable[[Image.Image], Image.Image]
"""Converts an image in described colours to sRGB, to the mode RGB or RGBA."""

# Modes by the colour space of a profile, each with the mode of the result.
_MODES = {"RGB": {"RGB": "RGB", "RGBA": "RGBA"}, "GRAY": {"L": "RGB"}, "CMYK": {"CMYK": "RGB"}}
_DEVICES = ("mntr", "scnr", "prtr", "spac")  # other profiles do not describe an image

# Colours that both spaces have stay what they are, as in browsers. Black becomes black, as in
# Photoshop: without the compensation the black of a press, which is not quite, turns dark gray.
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION

_BRIGHT = 180  # of 255; unbleached paper is brighter
_INVISIBLE = 2  # of 255; profiles of sRGB differ by roundings, and their photos are left alone


def srgb_transform(image: Image.Image, data: bytes) -> Transform | None:
    """Choose the transform of an image's colours to sRGB.

    Args:
        image: the opened image, in the mode of its file.
        data: content of its file.

    Returns:
        `None` for an image that is sRGB, by its description or without one, and for a description
        that is damaged or does not fit the image's mode.
    """
    profile = find_profile(image, data)
    if profile is None or len(profile) > LARGEST_PROFILE:
        return None
    transforms = _transforms(profile)
    gray = image.mode in ("1", "L", "LA") or image.mode.startswith("I;16")
    fits = {"L": gray, "CMYK": image.mode == "CMYK", "RGB": image.mode not in ("CMYK", "LAB")}
    if not any(fits.get(mode) for mode in transforms):
        return None
    return functools.partial(_convert, transforms=transforms)


def _convert(
    image: Image.Image, transforms: Mapping[str, ImageCms.ImageCmsTransform]
) -> Image.Image:
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    if image.mode not in transforms:
        image = image.convert("L" if "L" in transforms else "RGBA" if alpha else "RGB")
    converted = ImageCms.applyTransform(image, transforms[image.mode])
    assert converted is not None  # only a transform in place returns nothing
    if alpha is not None and converted.mode == "RGB":
        converted.putalpha(alpha)
    return converted


@functools.lru_cache(maxsize=16)
def _transforms(profile: bytes) -> Mapping[str, ImageCms.ImageCmsTransform]:
    """Make the transforms to sRGB by the modes they take; none for sRGB or a damaged profile."""
    with contextlib.suppress(Exception):  # LittleCMS has many ways to say that one is damaged
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        modes = _MODES.get(opened.profile.xcolor_space.strip(), {})
        if opened.profile.device_class not in _DEVICES:
            return {}
        srgb = ImageCms.createProfile("sRGB")
        found = {
            taken: ImageCms.buildTransform(opened, srgb, taken, given, _INTENT, _FLAGS)
            for taken, given in modes.items()
        }
        if not all(_keeps_white(taken, transform) for taken, transform in found.items()):
            return {}
        if "RGB" not in found or not _is_identity(found["RGB"]):
            return found
    return {}


def _keeps_white(mode: str, transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether white stays bright: numbers that make no sense often give black."""
    white = Image.new(mode, (1, 1), (0, 0, 0, 0) if mode == "CMYK" else "white")
    converted = ImageCms.applyTransform(white, transform)
    return bool(np.asarray(converted).min() >= _BRIGHT)


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Whether no colour of a grid over all colours changes visibly."""
    levels = np.linspace(0, 255, 18).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(18, -1, 3)
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(grid), transform))
    return bool(np.abs(converted.astype(int) - grid).max() <= _INVISIBLE)
