"""Parts of all drawings, and the vocabulary of `drawings.toml`.

Coordinates of a garment: x points right, 0 on its axis; y points down, 0 at the upper edge and 1 at
the hem at full length. Points are written "x,y x,y ...", corners "x,y!".
"""

import dataclasses
import functools
import pathlib
import tomllib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

Path = Float[np.ndarray, "_ 2"]


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """A piece of cloth, a seam or a button: a shape of one colour.

    Attributes:
        paths: outlines or lines, all drawn alike.
        fill: `cloth` for the product's print, `seam` to darken what lies below, or a colour's name.
        light: brightness, 1 for the colour itself.
        width: width of a line, 0 for the thinnest; `None` for a filled outline.
    """

    paths: Float[np.ndarray, "copies points 2"]
    fill: str
    light: float = 1.0
    width: float | None = None

    def placed(self, places: ArrayLike, sizes: ArrayLike = 1.0, turns: ArrayLike = 0.0) -> "Part":
        """Copy of the part at places, [n, 2]; scaled, [n, 2], after turns in radians, [n]."""
        places = np.asarray(places)
        angle = np.broadcast_to(turns, len(places))
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        scale = np.broadcast_to(sizes, (len(places), 2))
        paths = np.einsum("kpi,ijn,nj->nkpj", self.paths, turn, scale)
        paths += places[:, None, None]
        return dataclasses.replace(self, paths=paths.reshape(-1, *self.paths.shape[1:]))


@dataclasses.dataclass(frozen=True)
class Grade:
    """A change of cut, as tailors grade a pattern: scales lengths and widths below some height.

    Attributes:
        start: height where the change begins.
        length: factor of lengths below it.
        middle: factor of widths halfway between `start` and 1.
        end: factor of widths at height 1.
        axis: x that widths are measured from, such as a leg's middle.
    """

    start: float
    length: float = 1.0
    middle: float = 1.0
    end: float = 1.0
    axis: float = 0.0

    def apply(self, part: Part) -> Part:
        """The part in the changed cut."""
        x, y = part.paths[..., 0], part.paths[..., 1]
        factor = np.interp(y, [self.start, (self.start + 1) / 2, 1], [1, self.middle, self.end])
        x = np.sign(x) * np.maximum(self.axis + (np.abs(x) - self.axis) * factor, 0)
        y = np.where(y > self.start, self.start + (y - self.start) * self.length, y)
        return dataclasses.replace(part, paths=np.stack([x, y], -1))


def area(points: str, fill: str = "cloth", light: float = 1.0, mirror: str = "") -> Part:
    """The inside of a curve along points.

    `mirror` is `join` to complete a half with its mirror image, or `copy` to add a mirrored copy.
    """
    return Part(_curves(points, True, mirror), fill, light)


def line(points: str, fill: str = "seam", width: float = 0.0, mirror: str = "") -> Part:
    """A curve along points; see `area`."""
    return Part(_curves(points, False, mirror), fill, width=width)


def dots(points: str, fill: str, width: float, height: float = 0.0) -> Part:
    """Discs or ellipses around points; `width` and `height` are their half axes."""
    disc = area("1,0 .71,.71 0,1 -.71,.71 -1,0 -.71,-.71 0,-1 .71,-.71", fill)
    # The curve stays inside its control points.
    return disc.placed(_parse(points), [(1.08 * width, 1.08 * (height or width))])


def box(corners: str, fill: str = "cloth", light: float = 1.0) -> Part:
    """A rectangle, "left,top right,bottom"."""
    (left, top), (right, bottom) = _parse(corners)
    return area(f"{left},{top}! {right},{top}! {right},{bottom}! {left},{bottom}!", fill, light)


def grid(columns: int, rows: int, gap: float, shift: float, fill: str, light: float) -> Part:
    """Boxes in a square of side 1; gaps and the shift of every other row are fractions of a box."""
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    places = np.stack([x + shift * (y % 2), y], axis=-1).reshape(-1, 2) + gap / 2
    size = (1 / columns, 1 / rows)
    return box(f"0,0 {1 - gap},{1 - gap}", fill, light).placed(places * size, [size])


_CONSTRUCTORS: dict[str, Callable[..., Part | Grade]] = {
    "grade": Grade,
    "area": area,
    "half": functools.partial(area, mirror="join"),
    "pair": functools.partial(area, mirror="copy"),
    "line": line,
    "arc": functools.partial(line, mirror="join"),
    "lines": functools.partial(line, mirror="copy"),
    "dots": dots,
    "box": box,
    "grid": grid,
}


def _read(table: Any, shared: dict[str, list[Part | Grade]]) -> Any:
    """A table with descriptions replaced by parts."""
    if isinstance(table, dict):
        return {name: _read(each, shared) for name, each in table.items()}
    parts: list[Part | Grade] = []
    for each in table:
        named = isinstance(each, str)
        parts += shared[each] if named else [_CONSTRUCTORS[each[0]](*each[1:])]
    return parts


def _parse(points: str) -> Path:
    """Control points; a corner is repeated."""
    words = [word for each in points.split() for word in [each] * (1 + each.endswith("!"))]
    return np.array([word.removesuffix("!").split(",") for word in words], np.float64)


def _curves(points: str, closed: bool, mirror: str) -> Float[np.ndarray, "copies points 2"]:
    """Curves by Chaikin's corner cutting (1974); open ones keep their ends."""
    path = _parse(points)
    if mirror == "join":
        path = np.concatenate([path[::-1] * [-1, 1], path])
    for _ in range(3):
        after = np.roll(path, -1, axis=0)
        cut = np.stack([0.75 * path + 0.25 * after, 0.25 * path + 0.75 * after], 1).reshape(-1, 2)
        path = cut if closed else np.concatenate([path[:1], cut[:-2], path[-1:]])
    return np.stack([path, path * [-1, 1]] if mirror == "copy" else [path])


_TABLES = tomllib.loads(pathlib.Path(__file__).with_name("drawings.toml").read_text("utf-8"))
_SHARED = _read(_TABLES.pop("shared"), {})
DRAWINGS: dict[str, Any] = _read(_TABLES, _SHARED)
"""The tables of `drawings.toml`, with descriptions replaced by parts."""
