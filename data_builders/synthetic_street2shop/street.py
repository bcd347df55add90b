"""Street photos: worn, crumpled, turned, half hidden, badly lit, out of focus."""

import cv2
import numpy as np
from jaxtyping import UInt8

from .clutter import background, obstacle
from .compose import (
    Corners,
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

_NO_TEXTURE = np.zeros((CANVAS, CANVAS, 3), np.uint8)


def street_photo(
    garment: Layer, category: str, longest_side: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """A customer's photo, cut out by a box that was drawn by hand.

    Args:
        garment: as `draw_product` gives it.
        category: of the garment; decides what is seen of the wearer.
        longest_side: of the photo, in pixels.
        rng: decides on everything else.
    """
    left, top, width, height = bounds(garment)
    size = frame_size(width * rng.uniform(0.85, 1.15), height, longest_side)
    source = rotated(corners_of(left, top, width, height), rng.uniform(-16, 16))
    target = _seen_corners(size, rng)
    photo = background(size, rng)
    across, along = relief(rng, 5), relief(rng, 5)
    pixels = rng.uniform(2.0, 5.0)
    if rng.random() < 0.65:
        person = paint(wearer(category), _NO_TEXTURE, wearer_colours(rng).__getitem__)
        person = displace(shade(person, across, 0.3), across, along, pixels)
        photo = over(photo, place(person, source, target, size))
    worn = shade(garment, relief(rng, 8), rng.uniform(0.2, 0.5))
    photo = over(photo, place(displace(worn, across, along, pixels), source, target, size))
    for _ in range(rng.choice(3, p=[0.5, 0.35, 0.15])):
        photo = obstacle(photo, rng)
    return _camera(_light(photo, rng), rng)


def _seen_corners(size: tuple[int, int], rng: np.random.Generator) -> Corners:
    """Where the garment's corners are in the frame: perspective, and a box drawn by hand."""
    height, width = size
    jitter = rng.uniform(-0.05, 0.14, size=(4, 2)) * (width, height)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    return (corners_of(0, 0, width, height) + jitter * inwards).astype(np.float32)


def _light(photo: Photo, rng: np.random.Generator) -> Photo:
    """Exposure, colour of the light, its fall across the photo, and cast shadows."""
    height, width = photo.shape[:2]
    exposure = rng.uniform(0.5, 1.2)
    tint = rng.uniform(0.86, 1.14, size=(1, 1, 3))
    angle = rng.uniform(0, 2 * np.pi)
    x, y = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    fall = 1 + rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle))
    light = exposure * fall
    if rng.random() < 0.35:
        light = light * _cast_shadow(height, width, rng)
    gamma = rng.uniform(0.8, 1.25)
    lit = np.clip(photo / 255, 0, 1) ** gamma * 255
    return (lit * light[:, :, None] * tint).astype(np.float32)


def _cast_shadow(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    mask = np.ones((height, width), np.float32)
    points = rng.uniform(-0.2, 1.2, size=(4, 2)) * (width, height)
    hull = cv2.convexHull(points.astype(np.int32))
    cv2.fillConvexPoly(mask, hull, rng.uniform(0.45, 0.75))
    return cv2.GaussianBlur(mask, (0, 0), 2.0)


def _camera(photo: Photo, rng: np.random.Generator) -> UInt8[np.ndarray, "height width 3"]:
    """Focus, motion, noise."""
    if rng.random() < 0.3:
        length = int(rng.integers(3, 7))
        kernel = np.zeros((length, length), np.float32)
        cv2.line(
            kernel, (0, int(rng.integers(length))), (length - 1, int(rng.integers(length))), 1.0
        )
        photo = cv2.filter2D(photo, -1, kernel / kernel.sum())
    else:
        photo = cv2.GaussianBlur(photo, (0, 0), rng.uniform(0.3, 1.4))
    noise = rng.standard_normal(photo.shape, dtype=np.float32) * rng.uniform(1.5, 9.0)
    return np.clip(np.rint(photo + noise), 0, 255).astype(np.uint8)
