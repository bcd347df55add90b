"""One cell of a contact sheet: a photo with its box, what is cut out of it, their names."""

import bisect
import dataclasses
import functools
import math
import pathlib

import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from fashion_jax.datasets.boxes import Box, crop
from fashion_jax.datasets.building.crops import ItemPlace

TILE = 172
BETWEEN = 4
CELL = (2 * TILE + BETWEEN, TILE + 38)  # width, height

PAPER, INK, MUTED = (255, 255, 255), (26, 28, 30), (91, 96, 102)
GOOD_COLOUR, WRONG_COLOUR = (13, 122, 85), (200, 45, 30)
_GROUND, _BORDER = (226, 226, 222), (180, 180, 176)
_LINE, _TEXT_SIZE = 16, 12
_SHORTEST = 7  # side of a box as it is drawn: one without area, or far outside, leaves a mark
_BEYOND = 0.5  # of the photo's width and height is shown on each side where a box reaches out


@dataclasses.dataclass(frozen=True)
class Sheet:
    """A picture being drawn."""

    image: Image.Image
    draw: ImageDraw.ImageDraw


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The typeface that Matplotlib brings: it has most of the world's letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def draw_cell(
    sheet: Sheet,
    corner: tuple[int, int],
    photo: UInt8[np.ndarray, "height width 3"],
    place: ItemPlace,
    name: str,
) -> None:
    """Draws a photo with the box on it, the crop beside it, and captions below.

    Where a box reaches beyond the photo's border, the ground around the photo is shown, too.

    Args:
        sheet: to draw on.
        corner: the cell's upper left one, x and y.
        photo: as it was loaded.
        place: of the item on it.
        name: of the photo.
    """
    left, top = corner
    _draw_photo(sheet, corner, photo, place)
    cut = photo if place.cut is None else crop(photo, place.cut)
    beside = left + TILE + BETWEEN
    _fill(sheet, (beside, top))
    _paste(sheet, (beside, top), cut, Box(0, 0, cut.shape[1], cut.shape[0]))
    draw_text(sheet, (left, top + TILE + 4), name, CELL[0], INK)
    draw_text(sheet, (left, top + TILE + 4 + _LINE), _numbers(photo, place), CELL[0], MUTED)


def draw_text(
    sheet: Sheet,
    corner: tuple[int, int],
    text: str,
    width: int,
    colour: tuple[int, int, int],
    size: int = _TEXT_SIZE,
    bold: bool = False,
) -> None:
    """One line of text; where it is too long its beginning is left out: paths differ at the end."""
    typeface = font(size, bold)
    printable = "".join(letter if letter.isprintable() else "�" for letter in text)
    sheet.draw.text(corner, _elided(printable, typeface, width), fill=colour, font=typeface)


def _elided(text: str, typeface: ImageFont.FreeTypeFont, width: int) -> str:
    if typeface.getlength(text) <= width:
        return text

    def length_of_last(count: int) -> int:
        return math.ceil(typeface.getlength("…" + text[-count:]))

    fitting = bisect.bisect_right(range(1, len(text)), width, key=length_of_last)
    return "…" + text[-fitting:] if fitting else "…"


def _numbers(photo: UInt8[np.ndarray, "height width 3"], place: ItemPlace) -> str:
    whole = f"photo {photo.shape[1]}×{photo.shape[0]}"
    return whole if place.box is None else f"{whole}, box {place.box}"


def _draw_photo(
    sheet: Sheet,
    corner: tuple[int, int],
    photo: UInt8[np.ndarray, "height width 3"],
    place: ItemPlace,
) -> None:
    height, width = photo.shape[:2]
    view = _view(place.box, height, width)
    _fill(sheet, corner)
    scale, x, y = _paste(sheet, corner, photo, view)
    if place.box is None:
        return
    box = place.box
    left, top = x + box.x * scale, y + box.y * scale
    right, bottom = left + box.width * scale, top + box.height * scale
    (left, right), (top, bottom) = _seen(left, right, corner[0]), _seen(top, bottom, corner[1])
    # Light, then coloured: one of the two stands out from any garment.
    sheet.draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=PAPER)
    colour = WRONG_COLOUR if place.defect else GOOD_COLOUR
    sheet.draw.rectangle((left, top, right, bottom), outline=colour, width=3)


def _view(box: Box | None, height: int, width: int) -> Box:
    """The part of the plane that is shown: the photo, and what of the box lies around it."""
    if box is None:
        return Box(0, 0, width, height)
    left = max(min(0, box.x), -_BEYOND * width)
    top = max(min(0, box.y), -_BEYOND * height)
    right = min(max(width, box.x + box.width), (1 + _BEYOND) * width)
    bottom = min(max(height, box.y + box.height), (1 + _BEYOND) * height)
    return Box(left, top, right - left, bottom - top)


def _fill(sheet: Sheet, corner: tuple[int, int]) -> None:
    left, top = corner
    sheet.draw.rectangle((left, top, left + TILE - 1, top + TILE - 1), fill=_GROUND)


def _paste(
    sheet: Sheet,
    corner: tuple[int, int],
    photo: UInt8[np.ndarray, "height width 3"],
    view: Box,
) -> tuple[float, int, int]:
    """Pastes a photo so that `view` fills the tile; gives its scale and its place on the sheet."""
    height, width = photo.shape[:2]
    scale = min(TILE / view.width, TILE / view.height)
    x = round(corner[0] + (TILE - view.width * scale) / 2 - view.x * scale)
    y = round(corner[1] + (TILE - view.height * scale) / 2 - view.y * scale)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    sheet.image.paste(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS), (x, y))
    sheet.draw.rectangle((x, y, x + size[0] - 1, y + size[1] - 1), outline=_BORDER)
    return scale, x, y


def _seen(start: float, end: float, first: int) -> tuple[int, int]:
    """A side of a box inside the tile that begins at `first`, long enough to be seen."""
    last = first + TILE - 1
    start = min(max(start, first), last - _SHORTEST)
    return round(start), round(min(max(end, start + _SHORTEST), last))
