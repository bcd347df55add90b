"""People and surroundings: wearers, backgrounds and obstacles."""

import numpy as np

from .paint import Layer, empty, paint
from .palette import scene_colours
from .parts import DRAWINGS

_WEARERS = {"hats": "face", "bags": "hand", "footwear": "feet", "pants": "legs", "skirts": "legs"}
# fmt: off
# Groups of things: least and greatest number, and the range of left, top, width and height, as
# fractions of the photo.
Group = list[tuple[str, int, int, tuple[float, ...], tuple[float, ...]]]
_ALL = (0, 0, 1, 1)
SCENES: list[Group] = [
    [("sky", 1, 1, _ALL, _ALL), ("house", 5, 7, (-0.2, 0, 0.2, 1), (0.9, 0.4, 0.45, 1)),
     ("floor", 1, 1, (0, 0.6, 1, 1), (0, 0.85, 1, 1)),
     ("person", 1, 3, (-0.1, 0.2, 0.2, 0.5), (0.9, 0.4, 0.4, 0.7))],
    [("wall", 1, 1, _ALL, _ALL), ("floor", 1, 1, (0, 0.65, 1, 1), (0, 0.9, 1, 1)),
     ("furniture", 2, 4, (-0.1, 0, 0.1, 0.1), (0.9, 0.8, 0.4, 0.4)),
     ("shelf", 1, 4, (-0.1, 0, 0.1, 0.1), (0.9, 0.8, 0.4, 0.4))],
    [("sky", 1, 1, _ALL, _ALL), ("meadow", 1, 1, (0, 0.5, 1, 1), (0, 0.7, 1, 1)),
     ("trunk", 1, 2, (0, 0, 0.03, 1), (1, 0, 0.1, 1)),
     ("leaves", 8, 12, (-0.2, -0.2, 0.3, 0.3), (0.9, 0.8, 0.6, 0.6))],
    [("bricks", 1, 1, _ALL, (0, 0, 1.6, 1.6)),
     ("graffiti", 0, 1, (-0.1, -0.1, 0.3, 0.3), (0.8, 0.8, 0.7, 0.7))],
]
OBSTACLES: list[Group] = [
    [("arm", 1, 1, (0, 0.1, 0.25, -0.3), (0, 0.9, 0.75, 0.5))],
    [("strap", 1, 1, (0.2, 0, -0.3, 0.4), (0.8, 0, 0.3, 1))],
    [("hair", 1, 1, (0.1, 0, 0.3, 0.25), (0.5, 0, 0.5, 0.5))],
    [("bag", 1, 1, (0, 0.1, 0.2, 0.2), (0, 0.95, 0.45, 0.45))],
]
# fmt: on


def scatter(photo: Layer, groups: list[Group], rng: np.random.Generator) -> Layer:
    """Paint one of several groups of things on a photo, each thing in its own colours."""
    for thing, least, most, low, high in groups[rng.integers(len(groups))]:
        for _ in range(rng.integers(least, most + 1)):
            x, y, width, height = rng.uniform(low, high)
            if rng.random() < 0.5:
                x, width = 1 - x, -width
            parts = [each.placed([(x, y)], [(width, height)]) for each in DRAWINGS["things"][thing]]
            paint(photo, parts, scene_colours(rng), photo.shape[1::-1], (0, 0))
    return photo


def wearer(category: str, rng: np.random.Generator) -> Layer:
    """The visible part of a person who wears a garment of a category."""
    person = DRAWINGS["people"][_WEARERS.get(category, "whole")]
    return paint(empty(), person, scene_colours(rng))
