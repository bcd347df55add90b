"""A ranked list as one picture: the query at the left, its answers in the order of their ranks."""

import bisect
import dataclasses
import io
import math
import os
import pathlib
import string
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from fashion_jax.files import atomic_write

Photo = UInt8[np.ndarray, "_ _ 3"]
Answer = tuple[Photo, str, float, bool | None]
"""Photo (RGB), caption, score, and whether it shows the query's product (None: not known)."""

_MARGIN, _GAP, _ROW_GAP = 28, 16, 18
_QUERY, _TILE = (252, 336), (150, 200)  # width, height
_COLUMNS = 5
_CAPTION_LINES, _LINE = 2, 17
_CAPTION_SIZE, _LABEL_SIZE = 13, 15
_CELL_HEIGHT = _TILE[1] + 28 + _CAPTION_LINES * _LINE
_LONGEST_CAPTION = 300  # characters looked at; far more than ever fit

_PAPER, _TILE_COLOUR = (255, 255, 255), (242, 241, 237)
_INK, _MUTED = (26, 28, 30), (91, 96, 102)
_RIGHT, _WRONG = (13, 122, 85), (178, 69, 43)
_BADGE = 20
_FINER = 4  # badges are drawn this much larger, then scaled down, for smooth edges

_IN_BUNDLED_FONT = frozenset(string.printable + "…·‘’")

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclasses.dataclass(frozen=True)
class _Sheet:
    """A picture being drawn."""

    image: Image.Image
    draw: ImageDraw.ImageDraw


def draw_ranked_list(query: Photo, answers: Sequence[Answer], query_caption: str = "") -> Photo:
    """Draws a query and its answers, five in a row, each with its rank, score and name.

    An answer that is known to be right gets a thick frame and a tick, a wrong one a thin frame
    and a cross. A caption that is too long ends in an ellipsis.

    Args:
        query: RGB photo of any size.
        answers: in the order of their ranks.
        query_caption: what to write under the query; empty for "query".

    Returns:
        The picture, RGB. Its size depends on the number of answers only.
    """
    image = Image.new("RGB", _picture_size(len(answers)), _PAPER)
    sheet = _Sheet(image, ImageDraw.Draw(image))
    _paste_photo(sheet, query, (_MARGIN, _MARGIN), _QUERY)
    below = _MARGIN + _QUERY[1] + 8
    _write_caption(sheet, query_caption or "query", (_MARGIN, below), _QUERY[0], _INK)
    for index, answer in enumerate(answers):
        row, column = divmod(index, _COLUMNS)
        left = _answers_left() + column * (_TILE[0] + _GAP)
        top = _MARGIN + row * (_CELL_HEIGHT + _ROW_GAP)
        _draw_answer(sheet, answer, index + 1, (left, top))
    return np.asarray(image)


def write_picture(path: str | os.PathLike[str], picture: Photo) -> None:
    """Writes a picture as PNG; under its final name it is whole or not there at all.

    Args:
        path: of the PNG file; missing folders are made.
        picture: RGB.
    """
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    atomic_write(path, encoded.getvalue())


def _answers_left() -> int:
    return _MARGIN + _QUERY[0] + 2 * _GAP


def _picture_size(answers: int) -> tuple[int, int]:
    columns, rows = min(answers, _COLUMNS), -(-answers // _COLUMNS)
    width = _MARGIN + _QUERY[0] + _MARGIN
    if columns:
        width = _answers_left() + columns * (_TILE[0] + _GAP) - _GAP + _MARGIN
    query_height = _QUERY[1] + 8 + _CAPTION_LINES * _LINE
    height = max(query_height, rows * (_CELL_HEIGHT + _ROW_GAP) - _ROW_GAP)
    return width, height + _MARGIN + _MARGIN // 2


def _draw_answer(sheet: _Sheet, answer: Answer, rank: int, place: tuple[int, int]) -> None:
    photo, caption, score, right = answer
    left, top = place
    _paste_photo(sheet, photo, place, _TILE)
    if right is not None:
        _mark(sheet, right, place)
    y = top + _TILE[1] + 8
    label = _font(str(rank), _LABEL_SIZE)
    sheet.draw.text((left, y), str(rank), fill=_INK, font=label)
    sheet.draw.text((left + _TILE[0], y), f"{score:.3f}", fill=_MUTED, font=label, anchor="ra")
    _write_caption(sheet, caption, (left, y + 20), _TILE[0], _MUTED)


def _paste_photo(
    sheet: _Sheet, photo: Photo, place: tuple[int, int], size: tuple[int, int]
) -> None:
    """Fits the whole photo into its tile, on a plain ground."""
    left, top = place
    sheet.draw.rectangle((left, top, left + size[0] - 1, top + size[1] - 1), fill=_TILE_COLOUR)
    image = Image.fromarray(photo)
    scale = min(size[0] / image.width, size[1] / image.height)
    fitted = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(fitted, Image.Resampling.LANCZOS)
    sheet.image.paste(image, (left + (size[0] - fitted[0]) // 2, top + (size[1] - fitted[1]) // 2))


def _mark(sheet: _Sheet, right: bool, place: tuple[int, int]) -> None:
    left, top = place
    colour, thickness = (_RIGHT, 4) if right else (_WRONG, 1)
    frame = (left, top, left + _TILE[0] - 1, top + _TILE[1] - 1)
    sheet.draw.rectangle(frame, outline=colour, width=thickness)
    badge = _badge(right)
    sheet.image.paste(badge, (left + _TILE[0] - _BADGE - 7, top + 7), badge)


def _badge(right: bool) -> Image.Image:
    """A tick on a filled disc, or a cross on a white one."""
    side = _BADGE * _FINER
    badge = Image.new("RGBA", (side, side), (*_PAPER, 0))
    draw = ImageDraw.Draw(badge)
    colour = _RIGHT if right else _WRONG
    disc = (0, 0, side - 1, side - 1)
    draw.ellipse(disc, fill=colour if right else _PAPER, outline=colour, width=_FINER)
    tick = [(0.24, 0.52), (0.43, 0.71), (0.77, 0.32)]
    cross = [[(0.31, 0.31), (0.69, 0.69)], [(0.69, 0.31), (0.31, 0.69)]]
    for stroke in [tick] if right else cross:
        points = [(x * side, y * side) for x, y in stroke]
        draw.line(points, fill=_PAPER if right else colour, width=2 * _FINER, joint="curve")
    return badge.resize((_BADGE, _BADGE), Image.Resampling.LANCZOS)


def _write_caption(
    sheet: _Sheet, text: str, place: tuple[int, int], width: int, colour: tuple[int, int, int]
) -> None:
    font = _font(text, _CAPTION_SIZE)
    for index, line in enumerate(_wrapped(text, font, width)):
        sheet.draw.text((place[0], place[1] + index * _LINE), line, fill=colour, font=font)


def _font(text: str, size: int) -> Font:
    """Pillow's own font, or where it lacks a letter, the wider set that Matplotlib brings."""
    if _IN_BUNDLED_FONT.issuperset(text):
        return ImageFont.load_default(size)
    return ImageFont.truetype(
        pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"), size
    )


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    """Breaks a caption at spaces, or within a word that is wider than a line; elides the rest."""
    rest = " ".join(text[:_LONGEST_CAPTION].split())
    lines: list[str] = []
    while rest and len(lines) < _CAPTION_LINES:
        fitting = _fitting(rest, font, width)
        if fitting == len(rest):
            return [*lines, rest]
        if len(lines) == _CAPTION_LINES - 1:
            return [*lines, _elided(rest, font, width)]
        space = rest.rfind(" ", 1, fitting + 1)
        cut = space if space > 0 else fitting
        lines.append(rest[:cut])
        rest = rest[cut:].lstrip()
    return lines


def _elided(text: str, font: Font, width: int) -> str:
    kept = _fitting(text, font, width - math.ceil(font.getlength("…")))
    return text[:kept].rstrip() + "…"


def _fitting(text: str, font: Font, width: int) -> int:
    """How many leading characters fit into a width in pixels; at least one."""

    def width_of(count: int) -> int:
        return math.ceil(font.getlength(text[:count]))

    return max(1, bisect.bisect_right(range(1, len(text) + 1), width, key=width_of))
