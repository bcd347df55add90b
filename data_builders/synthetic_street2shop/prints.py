"""Prints: woven patterns, motifs scattered over the cloth, and graphics with a word."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from jaxtyping import Float

from .paint import CANVAS, ORIGIN, UNIT, Layer, Mask, blend, empty, paint
from .palette import Colour
from .parts import DRAWINGS, Part

Share = Float[np.ndarray, "_ _"]
Weave = Callable[[Share, Share, float, float, np.random.Generator], tuple[Share, ...]]

_GRAPHICS: dict[str, list[Part]] = DRAWINGS["graphics"]
_X, _Y = np.meshgrid(*((np.arange(CANVAS) + 0.5 - at) / UNIT for at in ORIGIN))


def _bands(position: Share, period: float, share: float = 0.5) -> Share:
    """1 inside stripes that take a share of each period, 0 outside; edges are a pixel soft."""
    distance = (share / 2 - np.abs((position / period) % 1 - 0.5)) * period * UNIT
    return np.clip(distance + 0.5, 0, 1)


def _checks(u: Share, v: Share, period: float) -> tuple[Share, Share]:
    """Crossing bands, and thin lines between them."""
    thin = np.maximum(_bands(u + period / 3, period, 0.07), _bands(v + period / 3, period, 0.07))
    return (_bands(u, period) + _bands(v, period)) / 2, thin


def _blots(period: float, level: float, rng: np.random.Generator) -> Share:
    noise = rng.random([round(1.2 / period)] * 2)
    smooth = cv2.resize(noise, (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
    return np.clip((smooth - level) * 14 + 0.5, 0, 1)


# fmt: off
# Shares of second and accent colour at (x, y), for a period p and a share s of it.
_WOVEN: dict[str, Weave] = {
    "stripes": lambda x, y, p, s, rng: (_bands(y, p, s),),
    "pinstripes": lambda x, y, p, s, rng: (_bands(x, 0.8 * p, s),),
    "diagonal": lambda x, y, p, s, rng: (_bands(x + y, 1.8 * p, s),),
    "zigzag": lambda x, y, p, s, rng: (_bands(y + np.abs(x % p - p / 2), 1.1 * p, s),),
    "gingham": lambda x, y, p, s, rng: _checks(x, y, p)[:1],
    "tartan": lambda x, y, p, s, rng: _checks(x, y, 1.8 * p),
    "argyle": lambda x, y, p, s, rng: _checks(x + y / 1.5, x - y / 1.5, 1.8 * p),
    "block": lambda x, y, p, s, rng: (1.0 * (y > 3 * p), 1.0 * (np.abs(y - 3 * p - s / 4) < s / 4)),
    "gradient": lambda x, y, p, s, rng: (np.clip((y - 4 * p + 0.28) / s, 0, 1),),
    "camouflage": lambda x, y, p, s, rng: (_blots(p, 0.5, rng), _blots(p, 0.68, rng)),
}
# Spacing of a graphic in periods, its size in spacings, and how far each one strays.
_SCATTERED = {
    "dot": (1, 0.28, 0), "spot": (0.6, 0.32, 0.25), "flower": (1.7, 0.22, 0.25),
    "heart": (1.2, 0.27, 0.05), "star": (1.2, 0.3, 0.15), "cat": (1.5, 0.28, 0.05),
}
_LOGOS = ("disc", "star", "heart", "bolt", "mountains", "sunset", "cat", "waves", "flower")
_WORDS = ("NORD", "SOL", "RIO", "LUNA", "ATLAS", "VEGA", "ECHO", "ZEN", "PARIS", "OSLO", "1987",
          "42", "KYOTO", "WAVE", "JAX")
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX)
# fmt: on
PRINTS = ("plain", *_WOVEN, *_SCATTERED)


def print_cloth(
    name: str, colours: Mapping[str, Colour], height: float, rng: np.random.Generator
) -> Layer:
    """A square of printed cloth, as large as the canvas.

    Args:
        name: one of `PRINTS`, or `logo` for a graphic, a word, or both.
        colours: colours of the product.
        height: height of a logo, in garment units.
        rng: decides on the print's details; the same state gives the same print.
    """
    cloth = empty()
    cloth[:] = np.append(colours["base"], 255)
    period, share = rng.choice((0.07, 0.11, 0.17)), rng.uniform(0.25, 0.55)
    if name in _WOVEN:
        shares = _WOVEN[name](_X, _Y, period, share, rng)
        for fill, each in zip(("second", "accent"), shares, strict=False):
            blend(cloth, np.rint(255 * each).astype(np.uint8), colours[fill])
    elif name in _SCATTERED:
        spacing, size, stray = _SCATTERED[name]
        parts = _scattered(_GRAPHICS[name], spacing * period, size, stray, rng)
        paint(cloth, parts, colours)
    elif name == "logo":
        size, graphic = rng.uniform(0.09, 0.14), _GRAPHICS[str(rng.choice(_LOGOS))]
        if rng.random() < 0.75:
            paint(cloth, [part.placed([(0, height)], size) for part in graphic], colours)
            height += size + 0.06
        blend(cloth, _word(height, rng), colours["accent"])
    return cloth


def _scattered(
    graphic: list[Part], spacing: float, size: float, stray: float, rng: np.random.Generator
) -> list[Part]:
    """A graphic all over the cloth, every other row shifted."""
    x, y = np.meshgrid(np.arange(-0.9, 0.9, spacing), np.arange(-0.4, 1.4, 0.9 * spacing))
    x[1::2] += spacing / 2
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    places += rng.uniform(-stray, stray, places.shape) * spacing
    sizes = size * spacing * rng.uniform(1 - stray, 1 + stray, (len(places), 1))
    turns = rng.uniform(-4, 4, len(places)) * stray
    return [part.placed(places, sizes, turns) for part in graphic]


def _word(height: float, rng: np.random.Generator) -> Mask:
    word, font = str(rng.choice(_WORDS)), int(rng.choice(_FONTS))
    scale = UNIT * rng.uniform(0.0028, 0.0042)
    thickness = max(1, round(scale * 2.2))
    (wide, high), _ = cv2.getTextSize(word, font, scale, thickness)
    place = round(ORIGIN[0] - wide / 2), round(ORIGIN[1] + height * UNIT + high / 2)
    mask = np.zeros((CANVAS, CANVAS), np.uint8)
    return cv2.putText(mask, word, place, font, scale, 255, thickness, cv2.LINE_AA)
