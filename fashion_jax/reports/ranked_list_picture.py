"""A ranked list as one picture: the query at the left, its answers in the order of their ranks."""

import io
import os
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fashion_jax.datasets.photo_sheet import (
    GOOD_COLOUR,
    LINE,
    MUTED,
    PAPER,
    WRONG_COLOUR,
    PhotoSheet,
    font,
)
from fashion_jax.files import atomic_write

Photo = UInt8[np.ndarray, "_ _ 3"]
Answer = tuple[Photo, str, float, bool | None]
"""Photo (RGB), caption, score, and whether it shows the query's product (None: not known)."""

QUERY, TILE = (252, 336), (150, 200)  # width, height
MARGIN, GAP = 28, 16
ANSWERS_LEFT = MARGIN + QUERY[0] + 2 * GAP
CAPTION_LINES = 2
ROW = TILE[1] + 28 + CAPTION_LINES * LINE + 18  # height, with the space below
_COLUMNS = 5


def draw_ranked_list(query: Photo, answers: Sequence[Answer], query_caption: str = "") -> Photo:
    """Draws a query and its answers, five in a row, each with its rank, score and name.

    An answer that is known to be right gets a thick frame and a tick, a wrong one a thin frame
    and a cross. A caption that is too long ends in an ellipsis.

    Args:
        query: RGB photo of any size.
        answers: answers in the order of their ranks.
        query_caption: text under the query; empty for "query".

    Returns:
        RGB picture whose size depends on the number of answers only.
    """
    columns, rows = min(len(answers), _COLUMNS), -(-len(answers) // _COLUMNS)
    right = ANSWERS_LEFT + columns * (TILE[0] + GAP) - GAP if columns else MARGIN + QUERY[0]
    below = MARGIN + max(QUERY[1] + 8 + CAPTION_LINES * LINE, rows * ROW - 18)
    sheet = PhotoSheet(right + MARGIN, below + MARGIN // 2)
    sheet.photo(query, (MARGIN, MARGIN), QUERY)
    caption = query_caption or "query"
    sheet.text(caption, (MARGIN, MARGIN + QUERY[1] + 8), QUERY[0], lines=CAPTION_LINES)
    for index, answer in enumerate(answers):
        row, column = divmod(index, _COLUMNS)
        corner = ANSWERS_LEFT + column * (TILE[0] + GAP), MARGIN + row * ROW
        _draw_answer(sheet, answer, index + 1, corner)
    return np.asarray(sheet.image)


def write_picture(path: str | os.PathLike[str], picture: Photo) -> None:
    """Write a picture as PNG, atomically.

    Args:
        path: PNG file; missing folders are made.
        picture: RGB.
    """
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG")
    atomic_write(path, encoded.getvalue())


def _draw_answer(sheet: PhotoSheet, answer: Answer, rank: int, corner: tuple[int, int]) -> None:
    photo, caption, score, right = answer
    left, top = corner
    sheet.photo(photo, corner, TILE)
    if right is not None:
        _mark(sheet, right, corner)
    below = top + TILE[1] + 8
    sheet.text(str(rank), (left, below), TILE[0], size=14)
    place = left + TILE[0], below
    sheet.draw.text(place, f"{score:.3f}", fill=MUTED, font=font(14), anchor="ra")
    sheet.text(caption, (left, below + 20), TILE[0], MUTED, lines=CAPTION_LINES)


def _mark(sheet: PhotoSheet, right: bool, corner: tuple[int, int]) -> None:
    left, top = corner
    colour, thickness, sign = (GOOD_COLOUR, 4, "✔") if right else (WRONG_COLOUR, 1, "✘")
    frame = left, top, left + TILE[0] - 1, top + TILE[1] - 1
    sheet.draw.rectangle(frame, outline=colour, width=thickness)
    place, anchor = (frame[2] - 9, top + 7), "ra"
    # With a light rim the sign stands out from any photo.
    sheet.draw.text(place, sign, colour, font(20), anchor, stroke_width=3, stroke_fill=PAPER)
