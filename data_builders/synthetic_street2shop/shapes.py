"""The parts that a drawn garment is made of, and curves to make them with.

Coordinates: x to the right with 0 on the garment's axis, y downwards from 0; the garment is about
one unit high. Paths are arrays of points, [n, 2].
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Path = Float[np.ndarray, "points 2"]
Points = Sequence[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Piece:
    """A piece of cloth, or of anything else that covers an area.

    Attributes:
        outline: closed path.
        fill: `print`, or the name of one of the product's colours (see `palette.Colours`).
        light: brightness of the piece, 1 as it is; pieces that lie behind are darker.
        edge: whether its outline is drawn as a seam.
    """

    outline: Path
    fill: str = "print"
    light: float = 1.0
    edge: bool = True


@dataclasses.dataclass(frozen=True)
class Stroke:
    """A seam, a strap, a fold: a line with a width.

    Attributes:
        path: open path.
        width: in garment units; 0 draws the thinnest line.
        fill: name of a colour, or `seam`.
    """

    path: Path
    width: float = 0.0
    fill: str = "seam"


@dataclasses.dataclass(frozen=True)
class Dot:
    """A button, an eyelet, a pompom."""

    x: float
    y: float
    radius: float
    fill: str = "accent"


Part = Piece | Stroke | Dot


def smooth(points: Points, rounds: int = 3) -> Path:
    """Closed curve around control points; a point that is named twice stays a corner.

    Chaikin's corner cutting (1974).
    """
    path = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        after = np.roll(path, -1, axis=0)
        path = np.stack([0.75 * path + 0.25 * after, 0.25 * path + 0.75 * after], 1).reshape(-1, 2)
    return path


def bend(points: Points, rounds: int = 3) -> Path:
    """Open curve along control points; its ends stay where they are."""
    path = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        cut = np.stack([0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]], 1)
        path = np.concatenate([path[:1], cut.reshape(-1, 2), path[-1:]])
    return path


def both_sides(right_half: Points) -> list[tuple[float, float]]:
    """Closes a right half, given from top to bottom, with its mirror image."""
    return [*right_half, *((-x, y) for x, y in reversed(right_half))]


def mirrored(path: Path) -> Path:
    """The same path on the other side of the axis."""
    return path * np.array([-1.0, 1.0])


def moved(part: Part, x: float, y: float) -> Part:
    """The same part elsewhere."""
    shift = np.array([x, y])
    if isinstance(part, Piece):
        return dataclasses.replace(part, outline=part.outline + shift)
    if isinstance(part, Stroke):
        return dataclasses.replace(part, path=part.path + shift)
    return dataclasses.replace(part, x=part.x + x, y=part.y + y)


def ellipse(x: float, y: float, width: float, height: float) -> Path:
    """Closed path around a centre."""
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    return np.stack([x + width / 2 * np.cos(angle), y + height / 2 * np.sin(angle)], axis=1)


def rectangle(left: float, top: float, right: float, bottom: float, round_by: int = 0) -> Path:
    """Closed path; `round_by` rounds of smoothing."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    if not round_by:
        return np.array(corners)
    return smooth([corner for corner in corners for _ in range(2)], round_by)
