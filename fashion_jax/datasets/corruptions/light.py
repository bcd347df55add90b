"""Light and colour: uneven lighting, brightness, contrast, colour cast."""

import cv2
import numpy as np
from jaxtyping import Float, Float32

from fashion_jax.datasets.corruptions.corruption import Corruption, RgbImage, random_sign

FALL_STOPS = 1.5  # above the middle on the lit side, below it on the far side
SHADOW_STOPS = 1.5
EXPOSURE_STOPS = 2.5
CONTRAST_FACTOR = 4.0
CAST_STOPS = 1.0

_SHADOW_EDGE = 0.06  # half the width of its soft edge; the farthest corners are 2 apart
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601

# sRGB transfer function, IEC 61966-2-1.
_ENCODED = np.arange(256) / 255
_LINEAR = np.where(
    _ENCODED <= 0.04045, _ENCODED / 12.92, ((_ENCODED + 0.055) / 1.055) ** 2.4
).astype(np.float32)


def to_linear(image: RgbImage) -> Float32[np.ndarray, "height width 3"]:
    """Decode sRGB to linear light in 0..1, for each pixel and channel."""
    return _LINEAR[image]


def to_srgb(light: Float[np.ndarray, "height width 3"]) -> RgbImage:
    """Encode linear light as sRGB; light above 1 is clipped, as by a sensor."""
    light = np.clip(light, 0, 1).astype(np.float32)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * cv2.pow(light, 1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def expose(image: RgbImage, stops: Float[np.ndarray, "_ _ _"]) -> RgbImage:
    """Multiply the light of an image by 2^stops.

    Args:
        image: RGB.
        stops: broadcast to the image: [1, 1, 1], [height, width, 1] or [1, 1, 3].
    """
    return to_srgb(to_linear(image) * np.exp2(stops).astype(np.float32))


def light_unevenly(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Light one side more than the other, and cast a shadow with a soft edge on the dark side.

    The direction of the light is random; the edge of the shadow is askew to it, near the middle.
    Both grow in proportion to the severity, in stops.
    """
    light = rng.uniform(0, 2 * np.pi)
    askew = rng.uniform(-np.pi / 3, np.pi / 3)
    place = rng.uniform(-0.2, 0.2)
    fall = _position(image, light) * FALL_STOPS
    depth = (_position(image, light + np.pi + askew) - place) / _SHADOW_EDGE
    shadow = SHADOW_STOPS / (1 + np.exp(np.clip(-2 * depth, -50, 50)))
    return expose(image, severity * (fall - shadow)[:, :, None])


def change_brightness(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Lengthen or shorten the exposure, with equal probability."""
    return expose(image, np.full((1, 1, 1), random_sign(rng) * severity * EXPOSURE_STOPS))


def change_contrast(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Scale the distance of pixel values from the mean brightness, up or down."""
    factor = CONTRAST_FACTOR ** (random_sign(rng) * severity)
    mean = (image.reshape(-1, 3).mean(axis=0) * _LUMA).sum()
    return np.clip(np.rint(mean + factor * (image - mean)), 0, 255).astype(np.uint8)


def cast_colour(image: RgbImage, severity: float, rng: np.random.Generator) -> RgbImage:
    """Cast a random hue over the image, like a camera with the wrong white balance.

    The gains of the channels follow three directions 120° apart, so that they sum to 0 stops.
    """
    hue = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3
    return expose(image, severity * CAST_STOPS * np.cos(hue)[None, None, :])


def _position(image: RgbImage, angle: float) -> Float[np.ndarray, "height width"]:
    """Pixel positions along a direction: 0 in the middle, ±1 at the farthest corners."""
    height, width = image.shape[:2]
    y, x = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    along = x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)
    return along / max(float(np.abs(along).max()), 0.5)


LIGHT = Corruption(
    "light",
    f"from {FALL_STOPS:g} stops lighter on one side to {FALL_STOPS:g} darker on the other; the "
    f"darker half in a shadow of {SHADOW_STOPS:g} stops more",
    light_unevenly,
)
BRIGHTNESS = Corruption(
    "brightness", f"{EXPOSURE_STOPS:g} stops of exposure more or less", change_brightness
)
CONTRAST = Corruption(
    "contrast", f"contrast times {CONTRAST_FACTOR:g} or 1/{CONTRAST_FACTOR:g}", change_contrast
)
COLOUR = Corruption(
    "colour",
    f"a cast of a random hue: red, green and blue times 1/{2**CAST_STOPS:g} to {2**CAST_STOPS:g}",
    cast_colour,
)
