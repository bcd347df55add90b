"""Detail that is lost: resolution, blur, JPEG."""

import cv2
import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.corruptions.corruption import Nuisance
from fashion_jax.datasets.loader import decode_at_stored_size
from fashion_jax.datasets.photos import encode_jpeg

LEAST_SIDE = 20  # pixels
BLUR_SIGMA = 0.03  # of the longest side
BEST_QUALITY, WORST_QUALITY = 95, 6


def disturb_resolution(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Reduces the photo, then enlarges it to its size again.

    From strength to strength the sides shrink by the same ratio. A photo that is no larger than
    full strength would make it stays as it is.
    """
    del rng  # nothing is random
    height, width = image.shape[:2]
    longest = max(height, width)
    scale = min(1.0, LEAST_SIDE / longest) ** strength
    small = (max(1, round(width * scale)), max(1, round(height * scale)))
    reduced = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(reduced, (width, height), interpolation=cv2.INTER_LINEAR)


def disturb_blur(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Blurs with a Gaussian; beyond its edge the photo is taken to go on mirrored."""
    del rng  # nothing is random
    sigma = strength * BLUR_SIGMA * max(image.shape[:2])
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)


def disturb_jpeg(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Encodes the photo as JPEG of a lower quality, and decodes it."""
    del rng  # nothing is random
    return decode_at_stored_size(encode_jpeg(image, jpeg_quality(strength)))


def jpeg_quality(strength: float) -> int:
    """Quality (libjpeg's 1..100) at a strength above 0: falls by the same ratio at each step."""
    return round(BEST_QUALITY * (WORST_QUALITY / BEST_QUALITY) ** strength)


RESOLUTION = Nuisance(
    "resolution",
    f"reduced to a longest side of {LEAST_SIDE} pixels, then enlarged again",
    disturb_resolution,
)
BLUR = Nuisance(
    "blur",
    f"out of focus: a Gaussian with σ = {100 * BLUR_SIGMA:g} % of the longest side",
    disturb_blur,
)
JPEG = Nuisance(
    "jpeg", f"compressed as JPEG of quality {WORST_QUALITY} (of 1 to 100)", disturb_jpeg
)
