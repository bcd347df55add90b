"""Boxes around garments: rounded, clipped to their photos, cut out."""

import dataclasses
import math

import numpy as np
from jaxtyping import Float, Int, UInt8

from fashion_jax.errors import FashionJaxError

UNITS = ("pixels", "fraction", "percent")
"""Units of a box: pixels, or parts of its photo's width and height, of 1 or of 100."""

# Nothing that a pixel wide box holds is a garment: numbers up to here are parts of 1, which some
# tools let reach over the photo's edge.
_LARGEST_FRACTION = 1.5


class BoxError(FashionJaxError):
    """A box that cannot be cut out of its photo."""


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; the origin is the upper left corner of the photo."""

    x: int | float
    y: int | float
    width: int | float
    height: int | float

    def __str__(self) -> str:
        return f"{self.width:g}×{self.height:g} at x={self.x:g}, y={self.y:g}"


@dataclasses.dataclass(frozen=True)
class FittedBox:
    """A box clipped to its photo.

    Attributes:
        box: whole pixels inside the photo, or `None` if none of it lies inside.
        defect: `empty` (no area), `outside` (entirely outside the photo), `clipped` (partly
            outside), or `None` for a good box.
    """

    box: Box | None
    defect: str | None


def unit_of(boxes: Float[np.ndarray, "boxes 4"]) -> str:
    """Recognise the unit of boxes (x, y, width, height): `fraction` if all are below a pixel.

    Boxes without numbers or area do not count.
    """
    fractions, others = _fractions(boxes)
    return "fraction" if fractions.any() and not others.any() else "pixels"


def mixed_units(boxes: Float[np.ndarray, "boxes 4"]) -> Int[np.ndarray, " mixed"]:
    """Find the boxes that are fractions beside others that are not."""
    fractions, others = _fractions(boxes)
    return np.flatnonzero(fractions & others.any())


def _fractions(boxes: Float[np.ndarray, "boxes 4"]) -> tuple[np.ndarray, np.ndarray]:
    with_area = (boxes[:, 2] > 0) & (boxes[:, 3] > 0)  # NaN has none
    within = (np.abs(boxes) <= _LARGEST_FRACTION).all(axis=1)
    whole_pixel = (boxes == 1).any(axis=1) & (boxes == np.rint(boxes)).all(axis=1)
    fractions = with_area & within & ~whole_pixel
    return fractions, with_area & ~fractions


def as_size(
    form: str,
    first: Float[np.ndarray, " boxes"],
    second: Float[np.ndarray, " boxes"],
    third: Float[np.ndarray, " boxes"],
    fourth: Float[np.ndarray, " boxes"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Convert boxes to x, y, width and height.

    Args:
        form: `size` (x, y, width, height), `corners` (left, top, right, bottom) or `centre`
            (x and y of the centre, width, height).
        first: first numbers of the boxes, in any unit.
        second: second numbers.
        third: third numbers.
        fourth: fourth numbers.
    """
    if form == "corners":
        return first, second, third - first, fourth - second
    if form == "centre":
        return first - third / 2, second - fourth / 2, third, fourth
    return first, second, third, fourth


def to_pixels(box: Box, unit: str, height: int, width: int) -> Box:
    """Convert a box of one of `UNITS` to pixels of a photo of `height`×`width` pixels."""
    if unit == "pixels":
        return box
    part = 1 if unit == "fraction" else 100
    across, down = width / part, height / part
    return Box(box.x * across, box.y * down, box.width * across, box.height * down)


def fit_box(box: Box, height: int, width: int, margin: float = 0.0) -> FittedBox:
    """Round a box to whole pixels and clip it to a photo of `height`×`width` pixels.

    Args:
        box: box of any finite numbers.
        height: height of the photo.
        width: width of the photo.
        margin: border added on each side, as a fraction of the box's own width and height. Any
            part of it outside the photo is cut off without counting as a defect.
    """
    if not (box.width > 0 and box.height > 0):
        return FittedBox(None, "empty")
    if box.x >= width or box.y >= height or box.x + box.width <= 0 or box.y + box.height <= 0:
        return FittedBox(None, "outside")
    inside = box.x >= 0 and box.y >= 0
    inside = inside and box.x + box.width <= width and box.y + box.height <= height
    left, right = _span(box.x, box.width, margin, width)
    top, bottom = _span(box.y, box.height, margin, height)
    fitted = Box(left, top, right - left, bottom - top)
    return FittedBox(fitted, None if inside else "clipped")


def _span(start: int | float, length: int | float, margin: float, limit: int) -> tuple[int, int]:
    """First pixel and the one after the last; at least one pixel, inside 0..limit."""
    # Bounds come first: sums of huge numbers are infinite, which no whole number is.
    first = math.floor(min(max(start - margin * length + 0.5, 0), limit - 1))
    last = math.floor(min(start + length + margin * length + 0.5, limit))
    return first, max(last, first + 1)


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Box
) -> UInt8[np.ndarray, "box_height box_width 3"]:
    """Cut a box out of a photo, without any part outside the photo.

    Raises:
        BoxError: if the box has no area, or lies entirely outside the photo.
    """
    height, width = image.shape[:2]
    fitted = fit_box(box, height, width)
    if fitted.box is None:
        problem = "has no area" if fitted.defect == "empty" else "lies entirely outside the photo"
        raise BoxError(f"the box {box} {problem}; the photo is {width}×{height} pixels")
    x, y = int(fitted.box.x), int(fitted.box.y)
    return image[y : y + int(fitted.box.height), x : x + int(fitted.box.width)]
