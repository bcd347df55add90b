"""What is behind, and in front of, a garment in the street."""

from collections.abc import Callable

import cv2
import numpy as np

from .compose import Photo
from .palette import HAIR, NAMED, NAMES, SKIN, Colour

_Size = tuple[int, int]


def background(size: _Size, rng: np.random.Generator) -> Photo:
    """A street, a room, a park or a brick wall, more or less out of focus."""
    places: tuple[Callable[[_Size, np.random.Generator], np.ndarray], ...] = (
        _street,
        _room,
        _park,
        _bricks,
    )
    picture = places[rng.integers(len(places))](size, rng)
    blur = rng.uniform(0.0, 2.5)
    if blur > 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    light = rng.normal(0, 1, size=(4, 4)).astype(np.float32)
    soft = cv2.resize(light, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.clip(picture.astype(np.float32) + 14 * soft[:, :, None], 0, 255)


def obstacle(photo: Photo, rng: np.random.Generator) -> Photo:
    """Something that is in the way: an arm, a strap, hair, somebody's bag or shoulder."""
    picture = np.clip(photo, 0, 255).astype(np.uint8)
    kinds = (_arm, _strap, _hair, _corner)
    kinds[rng.integers(len(kinds))](picture, rng)
    return picture.astype(np.float32)


def _arm(picture: np.ndarray, rng: np.random.Generator) -> None:
    side = float(rng.integers(2))
    end = (rng.uniform(0.25, 0.75), rng.uniform(0.4, 1.0))
    _line(picture, (side, rng.uniform(0.1, 0.9)), end, rng.uniform(0.1, 0.17), _of(SKIN, rng))


def _strap(picture: np.ndarray, rng: np.random.Generator) -> None:
    start, end = (rng.uniform(0.2, 0.8), 0.0), (rng.uniform(0.25, 0.75), rng.uniform(0.4, 1.0))
    _line(picture, start, end, rng.uniform(0.04, 0.065), _any_colour(rng))


def _hair(picture: np.ndarray, rng: np.random.Generator) -> None:
    colour = _of(HAIR, rng)
    for _ in range(5):
        start, end = (rng.uniform(0.2, 0.8), 0.0), (rng.uniform(0.2, 0.8), rng.uniform(0.25, 0.5))
        _line(picture, start, end, 0.02, colour)


def _corner(picture: np.ndarray, rng: np.random.Generator) -> None:
    height, width = picture.shape[:2]
    centre = (int(rng.integers(2)) * width, int(rng.choice([0.15, 0.9]) * height))
    reach = (int(rng.uniform(0.2, 0.45) * width), int(rng.uniform(0.2, 0.45) * height))
    cv2.ellipse(picture, centre, reach, 0, 0, 360, _any_colour(rng), -1, cv2.LINE_AA)


def _line(
    picture: np.ndarray,
    start: tuple[float, float],
    end: tuple[float, float],
    thickness: float,
    colour: Colour,
) -> None:
    """A line; places as shares of the picture's width and height, thickness of its width."""
    height, width = picture.shape[:2]
    first, last = ((int(x * width), int(y * height)) for x, y in (start, end))
    cv2.line(picture, first, last, colour, max(1, round(thickness * width)), cv2.LINE_AA)


def _street(size: _Size, rng: np.random.Generator) -> np.ndarray:
    height, width = size
    picture = _flat(size, (196, 208, 222))
    ground = int(height * rng.uniform(0.6, 0.85))
    x = 0
    while x < width:
        house = int(width * rng.uniform(0.18, 0.45))
        top = int(height * rng.uniform(0.0, 0.35))
        cv2.rectangle(picture, (x, top), (x + house, ground), _dull(rng), -1)
        glass = _dull(rng)
        for row in range(top + 5, ground - 8, 14):
            for column in range(x + 4, x + house - 6, 12):
                cv2.rectangle(picture, (column, row), (column + 5, row + 8), glass, -1)
        x += house
    cv2.rectangle(picture, (0, ground), (width, height), (112, 112, 116), -1)
    for _ in range(rng.integers(1, 4)):
        x, wide = int(rng.uniform(0, width)), int(width * rng.uniform(0.06, 0.14))
        cv2.ellipse(
            picture,
            (x, ground - 8),
            (wide, int(0.28 * height)),
            0,
            0,
            360,
            _any_colour(rng),
            -1,
            cv2.LINE_AA,
        )
        cv2.circle(
            picture,
            (x, ground - 8 - int(0.3 * height)),
            wide // 2 + 2,
            _of(SKIN, rng),
            -1,
            cv2.LINE_AA,
        )
    return picture


def _room(size: _Size, rng: np.random.Generator) -> np.ndarray:
    height, width = size
    picture = _flat(size, _dull(rng, 150, 235))
    floor = int(height * rng.uniform(0.65, 0.9))
    cv2.rectangle(picture, (0, floor), (width, height), _dull(rng, 80, 170), -1)
    for _ in range(rng.integers(4, 9)):
        left, top = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(0, 0.85) * height)
        wide, high = int(rng.uniform(0.1, 0.4) * width), int(rng.uniform(0.08, 0.4) * height)
        colour = _any_colour(rng) if rng.random() < 0.6 else _dull(rng)
        cv2.rectangle(picture, (left, top), (left + wide, top + high), colour, -1)
        cv2.rectangle(picture, (left, top), (left + wide, top + high), _dull(rng, 40, 120), 1)
    return picture


def _park(size: _Size, rng: np.random.Generator) -> np.ndarray:
    height, width = size
    picture = _flat(size, (150, 186, 216))
    cv2.rectangle(picture, (0, int(height * 0.62)), (width, height), (104, 140, 70), -1)
    for _ in range(45):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        green = (int(rng.uniform(30, 110)), int(rng.uniform(80, 170)), int(rng.uniform(30, 80)))
        cv2.circle(picture, centre, int(rng.uniform(4, 18)), green, -1, cv2.LINE_AA)
    trunk = int(rng.uniform(0, width))
    cv2.line(picture, (trunk, 0), (trunk, height), (92, 66, 44), int(rng.uniform(4, 12)))
    return picture


def _bricks(size: _Size, rng: np.random.Generator) -> np.ndarray:
    height, width = size
    tone = np.array(_dull(rng, 90, 190), np.float32)
    picture = _flat(size, _dull(rng, 70, 140))
    for row in range(0, height, 10):
        for column in range(-(row % 20), width, 20):
            shade = np.clip(tone * rng.uniform(0.85, 1.1), 0, 255)
            cv2.rectangle(picture, (column, row), (column + 18, row + 8), shade.tolist(), -1)
    if rng.random() < 0.5:
        start = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        cv2.circle(picture, start, int(0.3 * width), _any_colour(rng), 7, cv2.LINE_AA)
    return picture


def _flat(size: _Size, colour: Colour) -> np.ndarray:
    return np.full((*size, 3), colour, np.uint8)


def _dull(rng: np.random.Generator, low: float = 60, high: float = 200) -> Colour:
    red, green, blue = (
        int(value) for value in rng.uniform(low, high) + rng.uniform(-18, 18, size=3)
    )
    return max(red, 0), max(green, 0), max(blue, 0)


def _any_colour(rng: np.random.Generator) -> Colour:
    return NAMED[NAMES[rng.integers(len(NAMES))]]


def _of(colours: tuple[Colour, ...], rng: np.random.Generator) -> Colour:
    return colours[rng.integers(len(colours))]
