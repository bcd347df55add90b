"""Graphics and words in the middle of a garment."""

from collections.abc import Callable

import cv2
import numpy as np

from .prints import Cloth, Texture
from .shapes import ellipse, rectangle, smooth

WORDS = (
    "NORD",
    "SOL",
    "RIO",
    "LUNA",
    "ATLAS",
    "VEGA",
    "ECHO",
    "MAR",
    "ZEN",
    "PARIS",
    "OSLO",
    "1987",
    "42",
    "KYOTO",
    "WAVE",
    "JAX",
)


def logo(cloth: Cloth, middle: float) -> Texture:
    """A graphic, with or without a word below it, on plain cloth.

    Args:
        cloth: to print on.
        middle: height of the graphic on the garment, in garment units.
    """
    texture = cloth.plain()
    size = cloth.rng.uniform(0.09, 0.14)
    draw = cloth.rng.choice(list(GRAPHICS))
    if cloth.rng.random() < 0.75:
        GRAPHICS[draw](cloth, texture, middle, size)
        middle += size + 0.06
    _word(cloth, texture, middle)
    return texture


def _word(cloth: Cloth, texture: Texture, middle: float) -> None:
    word = str(cloth.rng.choice(WORDS))
    scale = cloth.unit * cloth.rng.uniform(0.0028, 0.0042)
    thickness = max(1, round(scale * 2.2))
    font = int(
        cloth.rng.choice(
            [cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SCRIPT_SIMPLEX]
        )
    )
    (width, height), _ = cv2.getTextSize(word, font, scale, thickness)
    x = round(cloth.origin[0] - width / 2)
    y = round(cloth.origin[1] + middle * cloth.unit + height / 2)
    cv2.putText(texture, word, (x, y), font, scale, cloth.colours.accent, thickness, cv2.LINE_AA)


def _disc(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    cloth.fill(texture, ellipse(0, y, 2 * size, 2 * size), cloth.colours.second)
    cloth.fill(texture, ellipse(0, y, size, size), cloth.colours.base)


def _star(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    angle = np.arange(10) * np.pi / 5 - np.pi / 2
    radius = np.where(np.arange(10) % 2, 0.45, 1.1) * size
    points = np.stack([radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)
    cloth.fill(texture, points, cloth.colours.second)


def _heart(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x = 16 * np.sin(angle) ** 3
    height = 13 * np.cos(angle) - 5 * np.cos(2 * angle) - 2 * np.cos(3 * angle) - np.cos(4 * angle)
    points = np.stack([x, -height], axis=1) * size / 15 + [0, y]
    cloth.fill(texture, points, cloth.colours.second)


def _mountains(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    low, high = y + size * 0.8, y - size
    back = np.array([(-1.5 * size, low), (-0.5 * size, high + 0.4 * size), (0.5 * size, low)])
    front = np.array([(-0.7 * size, low), (0.45 * size, high), (1.6 * size, low)])
    snow = np.array(
        [(0.1 * size, high + 0.55 * size), (0.45 * size, high), (0.8 * size, high + 0.55 * size)]
    )
    cloth.fill(texture, back, cloth.colours.accent)
    cloth.fill(texture, front, cloth.colours.second)
    cloth.fill(texture, snow, (245, 245, 245))


def _bolt(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    points = [(0.3, -1.2), (-0.6, 0.15), (-0.05, 0.15), (-0.35, 1.2), (0.6, -0.3), (0.05, -0.3)]
    cloth.fill(texture, np.array(points) * size + [0, y], cloth.colours.second)


def _sunset(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    cloth.fill(texture, ellipse(0, y, 2.1 * size, 2.1 * size), cloth.colours.second)
    for row in range(4):
        top = y + (0.1 + 0.27 * row) * size
        bar = rectangle(-1.1 * size, top, 1.1 * size, top + (0.06 + 0.03 * row) * size)
        cloth.fill(texture, bar, cloth.colours.base)


def _cat(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    head = ellipse(0, y + 0.1 * size, 2 * size, 1.7 * size)
    ear = np.array([(0.2, -0.5), (0.85, -1.25), (0.95, 0.0)]) * size + [0, y]
    for path in (head, ear, ear * [-1, 1]):
        cloth.fill(texture, path, cloth.colours.second)
    for side in (-1, 1):
        cloth.fill(
            texture, ellipse(side * 0.4 * size, y, 0.35 * size, 0.3 * size), cloth.colours.base
        )
    cloth.fill(
        texture,
        smooth(
            [(-0.15 * size, y + 0.35 * size), (0.15 * size, y + 0.35 * size), (0, y + 0.55 * size)],
            1,
        ),
        cloth.colours.accent,
    )


def _wave(cloth: Cloth, texture: Texture, y: float, size: float) -> None:
    x = np.linspace(-1.4, 1.4, 40) * size
    for row, colour in enumerate(
        (cloth.colours.second, cloth.colours.accent, cloth.colours.second)
    ):
        line = y + 0.45 * size * (row - 1) + 0.2 * size * np.sin(x / size * 4 + row)
        band = np.concatenate(
            [np.stack([x, line], 1), np.stack([x[::-1], line[::-1] + 0.24 * size], 1)]
        )
        cloth.fill(texture, band, colour)


GRAPHICS: dict[str, Callable[[Cloth, Texture, float, float], None]] = {
    "disc": _disc,
    "star": _star,
    "heart": _heart,
    "mountains": _mountains,
    "bolt": _bolt,
    "sunset": _sunset,
    "cat": _cat,
    "wave": _wave,
}
