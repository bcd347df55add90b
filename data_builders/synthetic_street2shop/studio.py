"""Shop photos: a clean background, soft shadows, even light."""

import cv2
import numpy as np
from jaxtyping import UInt8

from .compose import (
    Cutout,
    Photo,
    bounds,
    corners_of,
    frame_size,
    over,
    place,
    rotated,
)
from .drape import displace, relief, shade
from .figure import wearer, wearer_colours
from .paint import CANVAS, Layer, paint

VIEWS = ("front", "flat_lay", "model", "close_up")

_SURFACES = ((238, 232, 224), (226, 234, 238), (240, 224, 224), (222, 214, 200), (206, 210, 206))
_NO_TEXTURE = np.zeros((CANVAS, CANVAS, 3), np.uint8)


def shop_photo(
    garment: Layer, category: str, view: str, longest_side: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """A photo as a shop would show it.

    Args:
        garment: as `draw_product` gives it.
        category: of the garment; decides what a model would show of herself.
        view: one of `VIEWS`.
        longest_side: of the photo, in pixels.
        rng: decides on everything else.
    """
    garment = shade(garment, relief(rng, 6), rng.uniform(0.06, 0.14))
    left, top, width, height = bounds(garment)
    size = frame_size(width, height, longest_side)
    if view == "flat_lay":
        garment = displace(garment, relief(rng, 5), relief(rng, 5), 1.5)
    layer = _on_model(garment, category, rng) if view == "model" else garment
    margin = rng.uniform(0.06, 0.14) if view != "close_up" else -rng.uniform(0.1, 0.2)
    turn = rng.uniform(-14, 14) if view == "flat_lay" else rng.uniform(-2, 2)
    source = _window(left, top, width, height, margin, size, rng)
    placed = place(layer, rotated(source, turn), corners_of(0, 0, size[1], size[0]), size)
    photo = _background(view, size, rng)
    photo = over(_shadow(photo, placed, 0.03 if view == "model" else 0.22, size), placed)
    photo *= rng.uniform(0.97, 1.03, size=(1, 1, 3)).astype(np.float32)
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8)


def _on_model(garment: Layer, category: str, rng: np.random.Generator) -> Layer:
    colours = wearer_colours(rng)
    person = paint(wearer(category), _NO_TEXTURE, colours.__getitem__)
    merged = over(person[:, :, :3].astype(np.float32), garment)
    alpha = np.maximum(person[:, :, 3:], garment[:, :, 3:])
    return np.concatenate([merged.astype(np.uint8), alpha], axis=2)


def _window(
    left: float,
    top: float,
    width: float,
    height: float,
    margin: float,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """The part of the canvas that fills the frame, in the frame's own shape."""
    scale = max(height / size[0], width / size[1]) * (1 + 2 * margin)
    middle_x = left + width / 2 + rng.uniform(-0.03, 0.03) * width
    middle_y = top + height / 2 + rng.uniform(-0.03, 0.03) * height
    seen = (size[1] * scale, size[0] * scale)
    return corners_of(middle_x - seen[0] / 2, middle_y - seen[1] / 2, *seen)


def _background(view: str, size: tuple[int, int], rng: np.random.Generator) -> Photo:
    if view == "flat_lay":
        colour = np.array(_SURFACES[rng.integers(len(_SURFACES))], np.float32)
        grain = rng.normal(0, 2.5, size=(size[0], 1, 1)).astype(np.float32)
        return np.broadcast_to(colour + grain, (*size, 3)).astype(np.float32)
    white = rng.uniform(232, 254)
    fall = rng.uniform(0, 16)
    rows = white - fall * np.linspace(0, 1, size[0], dtype=np.float32) ** 2
    return np.broadcast_to(rows[:, None, None], (*size, 3)).astype(np.float32)


def _shadow(photo: Photo, layer: Cutout, strength: float, size: tuple[int, int]) -> Photo:
    offset = np.array([[1, 0, 0.015 * size[1]], [0, 1, 0.025 * size[0]]], np.float32)
    moved = cv2.warpAffine(layer[:, :, 3], offset, size[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), 0.02 * size[0]).astype(np.float32) / 255
    return photo * (1 - strength * soft[:, :, None])
