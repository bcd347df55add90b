"""How cloth lies: folds that shade it, and bends that move it."""

import cv2
import numpy as np
from jaxtyping import Float

from .paint import CANVAS, Layer

Relief = Float[np.ndarray, "size size"]

_DARKEST, _BRIGHTEST = 0.5, 1.4
_SLOPE = np.array([[-1, 0], [0, 1]], np.float32)  # surface here, less that to the upper left
_Y, _X = np.mgrid[0:CANVAS, 0:CANVAS].astype(np.float32)


def relief(rng: np.random.Generator, cells: int) -> Relief:
    """A hilly surface, about 0 on average, with about so many hills across."""
    coarse = rng.standard_normal((cells, cells), dtype=np.float32)
    small = cv2.resize(coarse, (CANVAS // 4, CANVAS // 4), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(small, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)


def shade(layer: Layer, surface: Relief, strength: float) -> Layer:
    """Lights a layer from the upper left, as if the surface were its folds; edges turn darker."""
    slope = cv2.filter2D(surface, -1, _SLOPE)
    inside = cv2.blur(layer[:, :, 3], (23, 23))
    light = cv2.addWeighted(
        slope, 14 * strength, inside, strength / 510, 1 - strength / 2, dtype=cv2.CV_32F
    )
    light = np.clip(light, _DARKEST, _BRIGHTEST)
    shaded = layer.copy()
    shaded[:, :, :3] = cv2.multiply(layer[:, :, :3], cv2.merge([light] * 3), dtype=cv2.CV_8U)
    return shaded


def displace(layer: Layer, across: Relief, along: Relief, pixels: float) -> Layer:
    """Moves every part of a layer by up to about so many pixels: a body inside, a crumple."""
    return cv2.remap(layer, _X + pixels * across, _Y + pixels * along, cv2.INTER_LINEAR)
