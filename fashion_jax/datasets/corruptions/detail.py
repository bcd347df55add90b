"""Loss of detail: resolution, blur, JPEG, occlusion."""

import math

import cv2
import numpy as np

from fashion_jax.datasets.corruptions.corruption import Corruption, RgbImage
from fashion_jax.datasets.photos import decode_record, encode_jpeg

LEAST_SIDE = 20  # pixels
BLUR_SIGMA = 0.03  # of the longest side
BEST_QUALITY, WORST_QUALITY = 95, 6
HIDDEN = 0.5  # of the area


def reduce_resolution(image: RgbImage, severity: float, _: np.random.Generator) -> RgbImage:
    """Reduce the image, then enlarge it to its size again.

    Equal steps of severity shrink the sides by the same ratio. An image no larger than
    `LEAST_SIDE` stays unchanged.
    """
    height, width = image.shape[:2]
    longest = max(height, width)
    scale = min(1.0, LEAST_SIDE / longest) ** severity
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)


def blur(image: RgbImage, severity: float, _: np.random.Generator) -> RgbImage:
    """Blur with a Gaussian; beyond its edge the image is mirrored."""
    sigma = severity * BLUR_SIGMA * max(image.shape[:2])
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def compress(image: RgbImage, severity: float, _: np.random.Generator) -> RgbImage:
    """Encode the image as JPEG of a lower quality, and decode it."""
    return decode_record(encode_jpeg(image, jpeg_quality(severity)))


def jpeg_quality(severity: float) -> int:
    """JPEG quality (libjpeg's 1..100) at a severity: equal steps lower it by the same ratio."""
    return round(BEST_QUALITY * (WORST_QUALITY / BEST_QUALITY) ** severity)


def occlude(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Hide a rectangle of random position, aspect and colour.

    The rectangle of a higher severity contains that of a lower one. Its aspect, relative to the
    image's, lies between 1/2 and 2, so that even the largest one fits: √(½ · 2) = 1.
    """
    from_top, from_left = rng.random(2)
    aspect = 2 ** rng.uniform(-1, 1)
    colour = rng.integers(0, 256, size=3)
    area = severity * HIDDEN
    rows = _span(image.shape[0], math.sqrt(area * aspect), from_top)
    columns = _span(image.shape[1], math.sqrt(area / aspect), from_left)
    hidden = image.copy()
    hidden[rows, columns] = colour
    return hidden


def _span(side: int, share: float, place: float) -> slice:
    """Range of a share of a side's pixels; place 0 is at its start, 1 at its end."""
    start = place * (1 - share)
    return slice(round(start * side), round((start + share) * side))


RESOLUTION = Corruption(
    "resolution",
    f"reduced to a longest side of {LEAST_SIDE} pixels, then enlarged again",
    reduce_resolution,
)
BLUR = Corruption(
    "blur", f"out of focus: a Gaussian with σ = {100 * BLUR_SIGMA:g} % of the longest side", blur
)
JPEG = Corruption("jpeg", f"compressed as JPEG of quality {WORST_QUALITY} (of 1 to 100)", compress)
OCCLUSION = Corruption(
    "occlusion", f"{100 * HIDDEN:g} % of the area hidden by a rectangle", occlude
)
