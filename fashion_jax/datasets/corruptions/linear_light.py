"""sRGB pixels as amounts of light and back (IEC 61966-2-1): a stop doubles the light."""

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

_ENCODED = np.arange(256) / 255
_LINEAR = np.where(
    _ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4
).astype(np.float32)


def to_linear(image: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width 3"]:
    """Light of each pixel and channel, 0..1."""
    return _LINEAR[image]


def to_srgb(light: Float[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "height width 3"]:
    """Pixels of light; what is brighter than 1 is clipped, as a sensor does."""
    light = np.clip(light, 0, 1).astype(np.float32)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * cv2.pow(light, 1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def expose(
    image: UInt8[np.ndarray, "height width 3"], stops: Float[np.ndarray, "_ _ _"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The photo with 2^stops times the light.

    Args:
        image: RGB.
        stops: anything that broadcasts to the photo: [1, 1, 1], [height, width, 1], [1, 1, 3].
    """
    return to_srgb(to_linear(image) * np.exp2(stops).astype(np.float32))
