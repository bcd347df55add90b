"""Colour descriptions of image files: embedded ICC profiles, and numbers that define one."""

import contextlib
import functools
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import ExifTags, Image

from fashion_jax.datasets.icc import (
    Chromaticity,
    gamma_curve,
    rgb_profile,
    srgb_curve,
    table_curve,
)

_D65: Chromaticity = (0.3127, 0.3290)
_SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
_NTSC = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))

# Primaries by their code in ITU-T H.273; all of these have the white of daylight, D65.
_PRIMARIES: Mapping[int, Sequence[Chromaticity]] = {
    1: _SRGB,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: _NTSC,
    7: _NTSC,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_PNG_CODES = re.compile(rb"\x00\x00\x00\x04cICP(.)(.)", re.DOTALL)
_AVIF_CODES = re.compile(rb"colrnclx\x00(.)\x00(.)", re.DOTALL)

_VALUES = np.linspace(0, 1, 4096)
_PAPER_WHITE = 203  # cd/m²; what is brighter in HDR is cut off

_GAMMA_OF_SRGB = 1 / 2.2  # what a PNG in sRGB says for programs that know no sRGB
_UNCALIBRATED = 0xFFFF
_ADOBE_RGB_CODE = 2


def find_profile(image: Image.Image, data: bytes) -> bytes | None:
    """Find the ICC profile of an opened image, or make it of the numbers in its file.

    Args:
        image: the image, before its EXIF is changed.
        data: content of its file.

    Returns:
        The profile, perhaps damaged; `None` for an image without any description.
    """
    embedded = image.info.get("icc_profile") or None
    with contextlib.suppress(Exception):  # numbers that make no sense count as none
        if image.format == "PNG":  # the chunk of the highest rank counts
            return _of_codes(_PNG_CODES, data, data.find(b"IDAT")) or embedded or _of_png(image)
        if image.format == "AVIF":
            return embedded or _of_codes(_AVIF_CODES, data, len(data))
        if image.format in ("JPEG", "MPO"):
            return embedded or _of_camera(image)
    return embedded


def without_profile(data: bytes) -> bytes | None:
    """Remove the profile of a PNG; `None` for what has none."""
    place = data.find(b"iCCP", 0, data.find(b"IDAT")) if data.startswith(b"\x89PNG") else -1
    if place < 0:
        return None
    end = place + 8 + int.from_bytes(data[place - 4 : place])
    return data[: place - 4] + data[end:]


def _of_codes(pattern: re.Pattern[bytes], data: bytes, end: int) -> bytes | None:
    codes = set(pattern.findall(data, 0, end))
    if len(codes) != 1:  # those of an AVIF's parts may differ
        return None
    ((primaries, curve),) = codes
    if primaries[0] not in _PRIMARIES or curve[0] not in _CURVES:
        return None
    return rgb_profile(_D65, _PRIMARIES[primaries[0]], _CURVES[curve[0]]())


def _of_png(image: Image.Image) -> bytes | None:
    gamma, points = image.info.get("gamma"), image.info.get("chromaticity")
    if "srgb" in image.info or (gamma is None and points is None):
        return None
    white, *primaries = zip(points[::2], points[1::2], strict=True) if points else (_D65, *_SRGB)
    is_srgb = np.allclose(primaries, _SRGB, atol=0.002)
    if gamma is None or (is_srgb and abs(gamma - _GAMMA_OF_SRGB) < 0.001):
        return rgb_profile(white, primaries, srgb_curve())
    return rgb_profile(white, primaries, gamma_curve(1 / gamma)) if 0.2 <= gamma <= 2 else None


def _of_camera(image: Image.Image) -> bytes | None:
    """Recognise Adobe RGB as cameras note it, some without a profile."""
    if "exif" not in image.info:
        return None
    exif = image.getexif()
    space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
    if space == _UNCALIBRATED:
        rule = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
        space = _ADOBE_RGB_CODE if str(rule).startswith("R03") else space
    return (
        rgb_profile(_D65, _ADOBE_RGB, gamma_curve(563 / 256)) if space == _ADOBE_RGB_CODE else None
    )


def _pq_curve() -> bytes:
    """Encode the curve of SMPTE ST 2084."""
    root = _VALUES ** (32 / 2523)
    light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
    return table_curve(10_000 / _PAPER_WHITE * light ** (8192 / 1305))


def _hlg_curve() -> bytes:
    """Encode the curve of ARIB STD-B67 on a screen of 1000 cd/m²."""
    low = _VALUES**2 / 3
    high = (np.exp((_VALUES - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return table_curve(1000 / _PAPER_WHITE * np.where(_VALUES <= 0.5, low, high) ** 1.2)


# Curves by their code in ITU-T H.273. Television's are written for sRGB, and shown as sRGB.
_CURVES: Mapping[int, Callable[[], bytes]] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15), srgb_curve),
    4: functools.partial(gamma_curve, 2.2),
    5: functools.partial(gamma_curve, 2.8),
    8: functools.partial(gamma_curve, 1.0),
    16: _pq_curve,
    18: _hlg_curve,
}
