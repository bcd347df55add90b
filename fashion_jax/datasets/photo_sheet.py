"""Pictures of photos in labelled tiles, drawn by Pillow."""

import bisect
import functools
import math
import pathlib

import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from fashion_jax.datasets.boxes import Box

PAPER, GROUND, INK, MUTED = (255, 255, 255), (236, 236, 232), (26, 28, 30), (91, 96, 102)
GOOD_COLOUR, WRONG_COLOUR = (13, 122, 85), (200, 45, 30)
LINE = 16  # height of a line of text

Colour = tuple[int, int, int]


class PhotoSheet:
    """A picture being drawn.

    Attributes:
        image: the picture, RGB.
        draw: Pillow's tool to draw anything else on it.
    """

    def __init__(self, width: int, height: int):
        """Make an empty sheet of a size in pixels."""
        self.image = Image.new("RGB", (width, height), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def photo(
        self,
        photo: UInt8[np.ndarray, "height width 3"],
        corner: tuple[int, int],
        size: tuple[int, int],
        view: Box | None = None,
    ) -> tuple[float, int, int]:
        """Fits a photo into the middle of a tile.

        Args:
            photo: RGB.
            corner: upper left corner of the tile, x and y.
            size: width and height of the tile.
            view: area that fills the tile, in the photo's pixels; may reach beyond the photo,
                which must lie within (default: the photo).

        Returns:
            Scale of the photo, and x and y of its upper left corner on the sheet.
        """
        (left, top), (width, height) = corner, size
        self.draw.rectangle((left, top, left + width - 1, top + height - 1), fill=GROUND)
        view = view or Box(0, 0, photo.shape[1], photo.shape[0])
        scale = min(width / view.width, height / view.height)
        x = round(left + (width - view.width * scale) / 2 - view.x * scale)
        y = round(top + (height - view.height * scale) / 2 - view.y * scale)
        fitted = [max(1, round(side * scale)) for side in (photo.shape[1], photo.shape[0])]
        resized = Image.fromarray(photo).resize(fitted, Image.Resampling.LANCZOS)
        self.image.paste(resized, (x, y))
        return scale, x, y

    def text(
        self,
        text: str,
        corner: tuple[int, int],
        width: int,
        colour: Colour = INK,
        *,
        size: int = 12,
        bold: bool = False,
        lines: int = 1,
        keep_end: bool = False,
    ) -> None:
        """Write a text; see `fit_text`. Unprintable characters become question marks.

        Args:
            text: any text.
            corner: upper left corner of the first line, x and y.
            width: width to stay within.
            colour: colour of the letters.
            size: size of the font in pixels.
            bold: whether the letters are bold.
            lines: greatest number of lines.
            keep_end: whether a text that is too long loses its beginning instead of its end.
        """
        printable = "".join(letter if letter.isprintable() else "�" for letter in text)
        fitted = fit_text(printable, font(size, bold), width, lines, keep_end)
        for number, line in enumerate(fitted):
            place = corner[0], corner[1] + number * LINE
            self.draw.text(place, line, fill=colour, font=font(size, bold))


@functools.cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The typeface that Matplotlib brings: it has most of the world's letters."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", name), size)


def fit_text(
    text: str,
    typeface: ImageFont.FreeTypeFont,
    width: int,
    lines: int = 1,
    keep_end: bool = False,
) -> list[str]:
    """Break a text into lines at spaces, or within a word that is wider than a line.

    An ellipsis stands for omitted text: in the last line, or with `keep_end` (for paths,
    which differ at their ends) at its beginning.
    """
    rest = " ".join(text.split())
    fitted: list[str] = []
    while rest and len(fitted) < lines - 1:
        cut = _fitting(rest, typeface, width)
        if cut < len(rest) and (space := rest.rfind(" ", 1, cut + 1)) > 0:
            cut = space
        fitted.append(rest[:cut])
        rest = rest[cut:].lstrip()
    if typeface.getlength(rest) > width:
        room = width - math.ceil(typeface.getlength("…"))
        kept = _fitting(rest[::-1] if keep_end else rest, typeface, room)
        rest = "…" + rest[-kept:] if keep_end else rest[:kept].rstrip() + "…"
    return [*fitted, rest] if rest else fitted


def _fitting(text: str, typeface: ImageFont.FreeTypeFont, width: int) -> int:
    """Count the leading characters that fit into a width; at least one."""

    def width_of(count: int) -> int:
        return math.ceil(typeface.getlength(text[:count]))

    return max(1, bisect.bisect_right(range(1, len(text) + 1), width, key=width_of))
