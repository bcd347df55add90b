"""The person who wears the garment, as far as the photo shows one."""

import numpy as np

from .palette import HAIR, NAMED, NAMES, SKIN, Colour
from .shapes import (
    Dot,
    Part,
    Piece,
    Stroke,
    bend,
    ellipse,
    mirrored,
    rectangle,
    smooth,
)


def wearer(category: str) -> list[Part]:
    """Parts of a person, to be painted before the garment."""
    draw = {
        "tops": _upper_body,
        "outerwear": _upper_body,
        "dresses": _upper_body,
        "pants": _lower_body,
        "skirts": _lower_body,
        "hats": _face,
        "bags": _side,
        "footwear": _ankles,
    }
    return draw[category]()


def wearer_colours(rng: np.random.Generator) -> dict[str, Colour]:
    """Skin, hair, and the other things that the person wears."""
    skin, hair = SKIN[rng.integers(len(SKIN))], HAIR[rng.integers(len(HAIR))]
    cloth, shoe = (NAMED[NAMES[index]] for index in rng.integers(len(NAMES), size=2))
    return {"skin": skin, "hair": hair, "cloth": cloth, "shoe": shoe, "eye": (40, 32, 30)}


def _upper_body() -> list[Part]:
    arm = bend([(0.23, 0.1), (0.36, 0.3), (0.42, 0.5), (0.41, 0.78)])
    leg = smooth([(0.01, 0.6), (0.2, 0.6), (0.19, 1.5), (0.06, 1.5)])
    return [
        Piece(ellipse(0.0, -0.2, 0.3, 0.42), "hair", edge=False),
        Piece(rectangle(-0.055, -0.12, 0.055, 0.24), "skin", 0.88, edge=False),
        Piece(
            smooth([(-0.22, 0.06), (0.22, 0.06), (0.17, 0.4), (-0.17, 0.4)]),
            "skin",
            0.95,
            edge=False,
        ),
        Piece(ellipse(0.0, -0.19, 0.21, 0.28), "skin", edge=False),
        *_features(0.0, -0.19, 0.21),
        Stroke(arm, 0.085, "skin"),
        Stroke(mirrored(arm), 0.085, "skin"),
        Piece(leg, "cloth"),
        Piece(mirrored(leg), "cloth"),
    ]


def _lower_body() -> list[Part]:
    arm = bend([(0.26, -0.35), (0.32, -0.05), (0.29, 0.24)])
    leg = smooth([(0.02, 0.2), (0.16, 0.2), (0.15, 0.7), (0.13, 1.2), (0.06, 1.2), (0.05, 0.7)])
    foot = smooth([(0.04, 1.13), (0.14, 1.13), (0.19, 1.22), (0.04, 1.22)])
    return [
        *(Piece(each, "skin", edge=False) for each in (leg, mirrored(leg))),
        *(Piece(each, "shoe") for each in (foot, mirrored(foot))),
        Piece(rectangle(-0.21, -0.6, 0.21, 0.12, round_by=2), "cloth"),
        *(Stroke(each, 0.08, "skin") for each in (arm, mirrored(arm))),
    ]


def _face() -> list[Part]:
    return [
        Piece(ellipse(0.0, 0.82, 0.66, 0.9), "hair", edge=False),
        Piece(rectangle(-0.13, 0.95, 0.13, 1.5), "skin", 0.85, edge=False),
        Piece(ellipse(0.0, 0.8, 0.5, 0.68), "skin", edge=False),
        *_features(0.0, 0.84, 0.5),
        Piece(smooth([(-0.7, 1.5), (-0.45, 1.24), (0.45, 1.24), (0.7, 1.5)]), "cloth"),
    ]


def _features(x: float, y: float, width: float) -> list[Part]:
    mouth = bend(
        [
            (x - 0.2 * width, y + 0.32 * width),
            (x, y + 0.38 * width),
            (x + 0.2 * width, y + 0.32 * width),
        ]
    )
    eyes = [Dot(x + side * 0.2 * width, y - 0.02, 0.045 * width, "eye") for side in (-1, 1)]
    return [*eyes, Stroke(mouth)]


def _side() -> list[Part]:
    arm = bend([(-0.5, -0.3), (-0.42, 0.0), (-0.2, 0.12), (-0.02, 0.1)])
    return [
        Piece(rectangle(-0.95, -0.6, -0.36, 1.5, round_by=1), "cloth"),
        Stroke(arm, 0.1, "skin"),
        Dot(0.0, 0.1, 0.07, "skin"),
    ]


def _ankles() -> list[Part]:
    legs = [(-0.21, 0.4), (-0.32, 0.66)]
    parts: list[Part] = []
    for x, y in legs:
        parts.append(Stroke(bend([(x, y), (x + 0.02, y - 0.3)]), 0.12, "skin"))
        parts.append(Stroke(bend([(x + 0.01, y - 0.22), (x + 0.04, -0.5)]), 0.2, "cloth"))
    return parts
