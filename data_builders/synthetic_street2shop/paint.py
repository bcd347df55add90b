"""Paints the parts of a garment on a transparent canvas."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np
from jaxtyping import UInt8

from .palette import Colour
from .shapes import Dot, Part, Path, Piece, Stroke, ellipse

CANVAS = 224
UNIT = 0.6 * CANVAS  # pixels a garment unit
ORIGIN = (0.5 * CANVAS, 0.21 * CANVAS)

Layer = UInt8[np.ndarray, "size size 4"]

_SHIFT = 4  # OpenCV draws at 1/16 pixel
_SEAM = 0.62  # brightness of a seam, relative to the cloth


def paint(
    parts: Iterable[Part],
    texture: UInt8[np.ndarray, "size size 3"],
    colour_of: Callable[[str], Colour],
) -> Layer:
    """Paints parts, the first one undermost.

    Args:
        parts: of one garment, or of anything else.
        texture: what the fill `print` shows.
        colour_of: gives the colour of any other fill; `seam` is never asked for.

    Returns:
        RGBA, transparent where nothing was painted.
    """
    layer = np.zeros((CANVAS, CANVAS, 4), np.uint8)
    for part in parts:
        if isinstance(part, Piece):
            _paint_piece(layer, part, texture, colour_of)
        elif isinstance(part, Dot):
            outline = ellipse(part.x, part.y, 2 * part.radius, 2 * part.radius)
            _paint_piece(layer, Piece(outline, part.fill), texture, colour_of)
        else:
            _paint_stroke(layer, part, colour_of)
    return layer


def _paint_piece(
    layer: Layer,
    piece: Piece,
    texture: UInt8[np.ndarray, "size size 3"],
    colour_of: Callable[[str], Colour],
) -> None:
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    cv2.fillPoly(mask, [_fixed(piece.outline)], 255, cv2.LINE_AA, _SHIFT)
    fill = texture if piece.fill == "print" else colour_of(piece.fill)
    if piece.light != 1.0:
        fill = np.clip(np.asarray(fill, np.float32) * piece.light, 0, 255)
    _blend(layer, mask, fill)
    if piece.edge:
        rim = np.zeros((CANVAS, CANVAS), np.uint8)
        cv2.polylines(rim, [_fixed(piece.outline)], True, 150, 1, cv2.LINE_AA, _SHIFT)
        _darken(layer, rim)


def _paint_stroke(layer: Layer, stroke: Stroke, colour_of: Callable[[str], Colour]) -> None:
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    thickness = max(1, round(stroke.width * UNIT))
    strength = 255 if stroke.width else 150
    cv2.polylines(mask, [_fixed(stroke.path)], False, strength, thickness, cv2.LINE_AA, _SHIFT)
    if stroke.fill == "seam":
        _darken(layer, mask)
    else:
        _blend(layer, mask, colour_of(stroke.fill))


def _fixed(path: Path) -> np.ndarray:
    """Garment units to OpenCV's fixed point."""
    return np.rint((path * UNIT + ORIGIN) * 2**_SHIFT).astype(np.int32)


def _darken(layer: Layer, mask: UInt8[np.ndarray, "size size"]) -> None:
    """Draws a seam into whatever cloth is there."""
    window = _window(mask)
    if window is None:
        return
    light = 1 - mask[window][:, :, None].astype(np.float32) * ((1 - _SEAM) / 255)
    under = layer[window]
    under[:, :, :3] = np.rint(under[:, :, :3] * light)


def _blend(layer: Layer, mask: UInt8[np.ndarray, "size size"], fill: np.ndarray | Colour) -> None:
    """Lays a colour, or a picture, over the layer where the mask says so."""
    window = _window(mask)
    if window is None:
        return
    share = mask[window][:, :, None].astype(np.float32) / 255
    colour = np.asarray(fill, np.float32)
    if colour.ndim == 3:
        colour = colour[window]
    under = layer[window]
    # Where nothing lies below yet, the colour goes in at full strength: no dark fringes.
    covered = np.maximum(share, (under[:, :, 3:] == 0).astype(np.float32))
    under[:, :, :3] = np.rint(under[:, :, :3] * (1 - covered) + colour * covered)
    under[:, :, 3] = np.maximum(under[:, :, 3], mask[window])


def _window(mask: UInt8[np.ndarray, "size size"]) -> tuple[slice, slice] | None:
    """The part of the canvas that a mask touches."""
    left, top, width, height = cv2.boundingRect(mask)
    return (slice(top, top + height), slice(left, left + width)) if width else None
