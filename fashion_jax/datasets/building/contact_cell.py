"""Cell of a contact sheet: a photo with its box, its crop, and captions."""

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box, crop
from fashion_jax.datasets.building.crops import ItemPlace
from fashion_jax.datasets.photo_sheet import (
    GOOD_COLOUR,
    LINE,
    MUTED,
    PAPER,
    WRONG_COLOUR,
    PhotoSheet,
)

TILE = 172
BETWEEN = 4
CELL = (2 * TILE + BETWEEN, TILE + 38)  # width, height

_BORDER = (180, 180, 176)
_SHORTEST = 7  # side of a box as it is drawn: one without area, or far outside, leaves a mark
_BEYOND = 0.5  # share of the photo's width and height shown on each side where a box reaches out

Photo = UInt8[np.ndarray, "height width 3"]


def draw_cell(
    sheet: PhotoSheet, corner: tuple[int, int], photo: Photo, place: ItemPlace, name: str
) -> None:
    """Draws a photo with the box on it, the crop to its right, and captions below.

    Where a box reaches beyond the photo's border, the ground around the photo is shown as well.

    Args:
        sheet: sheet to draw on.
        corner: upper left corner of the cell, x and y.
        photo: photo as it was loaded.
        place: place of the item on it.
        name: name of the photo.
    """
    left, top = corner
    scale, x, y = _draw_photo(sheet, corner, photo, _view(place.box, *photo.shape[:2]))
    if place.box is not None:
        _draw_box(sheet, corner, (scale, x, y), place)
    cut = photo if place.cut is None else crop(photo, place.cut)
    _draw_photo(sheet, (left + TILE + BETWEEN, top), cut)
    sheet.text(name, (left, top + TILE + 4), CELL[0], keep_end=True)
    numbers = f"photo {photo.shape[1]}×{photo.shape[0]}"
    numbers += "" if place.box is None else f", box {place.box}"
    sheet.text(numbers, (left, top + TILE + 4 + LINE), CELL[0], MUTED)


def _view(box: Box | None, height: int, width: int) -> Box:
    """Area to show: the photo, and as much of the box as lies around it."""
    if box is None:
        return Box(0, 0, width, height)
    left = max(min(0, box.x), -_BEYOND * width)
    top = max(min(0, box.y), -_BEYOND * height)
    right = min(max(width, box.x + box.width), (1 + _BEYOND) * width)
    bottom = min(max(height, box.y + box.height), (1 + _BEYOND) * height)
    return Box(left, top, right - left, bottom - top)


def _draw_photo(
    sheet: PhotoSheet, corner: tuple[int, int], photo: Photo, view: Box | None = None
) -> tuple[float, int, int]:
    scale, x, y = sheet.photo(photo, corner, (TILE, TILE), view)
    right, bottom = (max(1, round(side * scale)) for side in (photo.shape[1], photo.shape[0]))
    sheet.draw.rectangle((x, y, x + right - 1, y + bottom - 1), outline=_BORDER)
    return scale, x, y


def _draw_box(
    sheet: PhotoSheet, corner: tuple[int, int], drawn: tuple[float, int, int], place: ItemPlace
) -> None:
    assert place.box is not None
    scale, x, y = drawn
    left, right = _seen(x + place.box.x * scale, place.box.width * scale, corner[0])
    top, bottom = _seen(y + place.box.y * scale, place.box.height * scale, corner[1])
    # Light, then coloured: one of the two stands out from any garment.
    sheet.draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=PAPER)
    colour = WRONG_COLOUR if place.defect else GOOD_COLOUR
    sheet.draw.rectangle((left, top, right, bottom), outline=colour, width=3)


def _seen(start: float, length: float, first: int) -> tuple[int, int]:
    """Clips a side of a box to the tile that begins at `first`, but keeps it visible."""
    last = first + TILE - 1
    end = start + length
    start = min(max(start, first), last - _SHORTEST)
    return round(start), round(min(max(end, start + _SHORTEST), last))
