"""Colours of fashion, RGB."""

import colorsys
import dataclasses

import numpy as np

Colour = tuple[int, int, int]

NAMED: dict[str, Colour] = {
    "black": (28, 28, 32),
    "white": (240, 240, 238),
    "cream": (238, 226, 200),
    "grey": (132, 134, 140),
    "charcoal": (70, 72, 80),
    "navy": (30, 40, 84),
    "denim": (74, 104, 150),
    "sky": (140, 188, 224),
    "cobalt": (36, 74, 190),
    "teal": (22, 124, 126),
    "mint": (160, 214, 190),
    "emerald": (16, 126, 74),
    "olive": (108, 112, 58),
    "khaki": (176, 160, 112),
    "camel": (192, 144, 88),
    "brown": (104, 66, 42),
    "mustard": (214, 164, 40),
    "yellow": (246, 216, 76),
    "orange": (232, 118, 38),
    "coral": (242, 122, 104),
    "red": (200, 34, 44),
    "burgundy": (112, 22, 44),
    "pink": (238, 140, 176),
    "fuchsia": (208, 34, 126),
    "lavender": (178, 156, 214),
    "purple": (98, 48, 138),
}
NAMES = tuple(NAMED)

SKIN: tuple[Colour, ...] = (
    (250, 218, 196),
    (236, 188, 158),
    (210, 154, 118),
    (166, 112, 80),
    (112, 74, 54),
    (78, 52, 40),
)
HAIR: tuple[Colour, ...] = (
    (30, 24, 22),
    (74, 48, 32),
    (140, 96, 52),
    (206, 168, 104),
    (120, 50, 30),
)


@dataclasses.dataclass(frozen=True)
class Colours:
    """Colours of one product.

    Attributes:
        base: the cloth.
        second: what is printed on it.
        accent: buttons, badges, trims.
    """

    base: Colour
    second: Colour
    accent: Colour

    def named(self, name: str) -> Colour:
        """A colour by the name that pieces use: a field, or one that all products share."""
        shared = {
            "white": (244, 244, 242),
            "black": (34, 34, 36),
            "metal": (196, 190, 172),
            "leather": (122, 78, 46),
            "inside": darker(self.base, 0.55),
        }
        return shared[name] if name in shared else getattr(self, name)


def jittered(name: str, rng: np.random.Generator) -> Colour:
    """One of many shades of a named colour."""
    red, green, blue = (channel / 255 for channel in NAMED[name])
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    hue += rng.uniform(-0.012, 0.012)
    lightness = min(max(lightness * rng.uniform(0.9, 1.1), 0.06), 0.95)
    saturation = min(saturation * rng.uniform(0.85, 1.15), 1.0)
    mixed = colorsys.hls_to_rgb(hue % 1.0, lightness, saturation)
    return _colour(np.array(mixed) * 255)


def darker(colour: Colour, factor: float) -> Colour:
    """The colour in less light; factors above 1 give more."""
    return _colour(np.array(colour) * factor)


def contrast(first: Colour, second: Colour) -> float:
    """How far two colours are apart, in units of RGB."""
    return float(np.linalg.norm(np.subtract(first, second)))


def _colour(values: np.ndarray) -> Colour:
    red, green, blue = (int(value) for value in np.clip(np.rint(values), 0, 255))
    return red, green, blue
