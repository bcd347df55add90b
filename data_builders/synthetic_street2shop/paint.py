"""Layers, and the painter that puts parts on them."""

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from .palette import Colour
from .parts import Part

CANVAS = 224
UNIT = 0.6 * CANVAS  # pixels per garment unit
ORIGIN = (0.5 * CANVAS, 0.21 * CANVAS)

# RGBA; colours are premultiplied by alpha, so that edges blend without dark fringes.
Layer = UInt8[np.ndarray, "_ _ 4"]
Mask = UInt8[np.ndarray, "_ _"]

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_SEAM = np.array([0.78, 0.78, 0.78, 1], np.float32)  # share of the colours below that a seam keeps


def empty(height: int = CANVAS, width: int = CANVAS) -> Layer:
    """A transparent layer."""
    return np.zeros((height, width, 4), np.uint8)


def paint(
    layer: Layer,
    parts: Iterable[Part],
    fills: Mapping[str, Colour | Layer],
    scale: tuple[float, float] = (UNIT, UNIT),
    origin: tuple[float, float] = ORIGIN,
    seams: bool = False,
) -> Layer:
    """Paint parts on a layer from bottom to top, and return it.

    Args:
        layer: layer to paint on.
        parts: parts of a garment or of anything else, bottom first.
        fills: colour, or picture of the layer's size, by name of the fill; without `seam`.
        scale: pixels per unit, across and down.
        origin: place of the parts' origin, in pixels.
        seams: whether areas get a seam along their outline.
    """
    for part in parts:
        paths = np.rint((part.paths * scale + origin) * 2**_SHIFT).astype(np.int32, order="C")
        pixels = None if part.width is None else part.width * scale[0]
        fill = None if part.fill == "seam" else fills[part.fill]
        if fill is not None and fill.ndim == 1:
            _draw(layer, paths, pixels, (*np.clip(fill * part.light, 0, 255), 255))
        else:
            blend(layer, _draw(_mask(layer), paths, pixels, 255), fill, part.light)
        if seams and pixels is None:
            outlines = np.concatenate([paths, paths[:, :1]], axis=1)
            blend(layer, _draw(_mask(layer), outlines, 0, 255))
    return layer


def blend(layer: Layer, mask: Mask, fill: Colour | Layer | None = None, light: float = 1.0) -> None:
    """Blend a fill into the layer by a mask; `None` draws a seam."""
    left, top, width, height = cv2.boundingRect(mask)
    window = (slice(top, top + height), slice(left, left + width))
    under = layer[window]
    if fill is None:
        over = under * _SEAM
    else:
        over = fill[window] if fill.ndim == 3 else np.append(fill, 255)
        over = np.minimum(over * np.array([light, light, light, 1], np.float32), 255)
    share = mask[window][:, :, None] / np.float32(255)
    under[:] = np.rint(under + (over - under) * share)


def _mask(layer: Layer) -> Mask:
    return np.zeros(layer.shape[:2], np.uint8)


def _draw(image: np.ndarray, paths: np.ndarray, pixels: float | None, value: Any) -> np.ndarray:
    """Fill the inside of paths, or draw lines along them."""
    if pixels is not None:
        width = max(1, round(pixels))
        return cv2.polylines(image, list(paths), False, value, width, cv2.LINE_AA, _SHIFT)
    for path in paths:  # all at once would leave holes where they overlap
        cv2.fillPoly(image, [path], value, cv2.LINE_AA, _SHIFT)
    return image
