"""Something in front of the garment."""

import math

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.corruptions.corruption import Nuisance

HIDDEN = 0.5  # of the photo's area


def disturb_occlusion(
    image: UInt8[np.ndarray, "height width 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "height width 3"]:
    """Hides a rectangle of a random place, aspect and colour; a stronger one holds a weaker one.

    Sides are measured in the photo's own: the aspect lies between 1/2 and 2, so that even the
    largest rectangle fits: √(½ · 2) = 1.
    """
    from_top, from_left = rng.random(2)
    aspect = 2 ** rng.uniform(-1, 1)
    colour = rng.integers(0, 256, size=3)
    area = strength * HIDDEN
    rows = _span(image.shape[0], math.sqrt(area * aspect), from_top)
    columns = _span(image.shape[1], math.sqrt(area / aspect), from_left)
    hidden = image.copy()
    hidden[rows, columns] = colour
    return hidden


def _span(side: int, share: float, place: float) -> slice:
    """A share of a side's pixels; place 0 is at its start, 1 at its end."""
    start = place * (1 - share)
    return slice(round(start * side), round((start + share) * side))


OCCLUSION = Nuisance(
    "occlusion", f"{100 * HIDDEN:g} % of the photo hidden by a rectangle", disturb_occlusion
)
