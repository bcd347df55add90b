"""Light and colour: uneven lighting, brightness, contrast, colour cast."""

import numpy as np
from jaxtyping import Float, UInt8

from fashion_jax.datasets.corruptions.corruption import Nuisance, either_way
from fashion_jax.datasets.corruptions.linear_light import expose

FALL_STOPS = 1.5  # above the middle on the lit side, below it on the far side
SHADOW_STOPS = 1.5
EXPOSURE_STOPS = 2.5
CONTRAST_FACTOR = 4.0
CAST_STOPS = 1.0

_SHADOW_EDGE = 0.06  # half the width of its soft edge; the farthest corners are 2 apart
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def disturb_light(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Lights one side more than the other, and lays a shadow with a soft edge on the dark side.

    The light's direction is random, the shadow's edge is askew to it and near the middle. In
    stops, both grow in proportion to the strength.
    """
    light = rng.uniform(0, 2 * np.pi)
    askew = rng.uniform(-np.pi / 3, np.pi / 3)
    place = rng.uniform(-0.2, 0.2)
    fall = _position(image, light) * FALL_STOPS
    depth = (_position(image, light + np.pi + askew) - place) / _SHADOW_EDGE
    shadow = SHADOW_STOPS / (1 + np.exp(np.clip(-2 * depth, -50, 50)))
    return expose(image, strength * (fall - shadow)[:, :, None])


def disturb_brightness(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Exposes half of the photos longer and half of them shorter."""
    return expose(image, np.full((1, 1, 1), either_way(rng) * strength * EXPOSURE_STOPS))


def disturb_contrast(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Moves pixel values away from the photo's mean brightness, or towards it, by a factor."""
    factor = CONTRAST_FACTOR ** (either_way(rng) * strength)
    mean = (image.reshape(-1, 3).mean(axis=0) * _LUMA).sum()
    return np.clip(np.rint(mean + factor * (image - mean)), 0, 255).astype(np.uint8)


def disturb_colour(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Casts a random hue over the photo, as a camera does that is balanced for another lamp.

    The channels' gains are those of three directions 120° apart, so that they sum to 0 stops.
    """
    hue = rng.uniform(0, 2 * np.pi) + np.array([0, 2, 4]) * np.pi / 3
    return expose(image, strength * CAST_STOPS * np.cos(hue)[None, None, :])


def _position(
    image: UInt8[np.ndarray, "height width 3"], angle: float
) -> Float[np.ndarray, "height width"]:
    """Of each pixel along a direction: 0 in the photo's middle, ±1 at its farthest corners."""
    height, width = image.shape[:2]
    y, x = (np.arange(side) - (side - 1) / 2 for side in (height, width))
    along = x[None, :] * np.cos(angle) + y[:, None] * np.sin(angle)
    return along / max(float(np.abs(along).max()), 0.5)


LIGHT = Nuisance(
    "light",
    f"from {FALL_STOPS:g} stops lighter on one side to as much darker on the other, the "
    f"darker half in a shadow of {SHADOW_STOPS:g} stops more",
    disturb_light,
)
BRIGHTNESS = Nuisance(
    "brightness",
    f"{EXPOSURE_STOPS:g} stops of exposure more or less",
    disturb_brightness,
)
CONTRAST = Nuisance(
    "contrast",
    f"{CONTRAST_FACTOR:g} times the contrast, or 1/{CONTRAST_FACTOR:g} of it",
    disturb_contrast,
)
COLOUR = Nuisance(
    "colour",
    f"a cast of a random hue: red, green and blue times 1/{2**CAST_STOPS:g} to {2**CAST_STOPS:g}",
    disturb_colour,
)
