"""Contact sheet of `data check`: photos with their boxes and crops, for visual inspection.

Counts show that boxes lie inside their photos; only a look shows that they enclose garments.
"""

import io
import os
import pathlib
from collections.abc import Sequence

from PIL import Image

from fashion_jax.datasets.building.contact_cell import CELL, draw_cell
from fashion_jax.datasets.building.crop_samples import (
    GOOD_SHOP,
    GOOD_STREET,
    WITHOUT_ANY,
    SampleGroup,
)
from fashion_jax.datasets.building.crops import locate
from fashion_jax.datasets.building.plan import PhotoSource, PlannedItem
from fashion_jax.datasets.photo_sheet import GOOD_COLOUR, MUTED, WRONG_COLOUR, PhotoSheet
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write, is_file

_COLUMNS = 4
_GAP, _BORDER = 16, 24
_TITLE, _HEADING = 64, 34  # heights
_WIDTH = 2 * _BORDER + _COLUMNS * CELL[0] + (_COLUMNS - 1) * _GAP
_LEGEND = "left: photo with its box as read; right: crop as stored"

_HEADINGS = {
    "missing": "no box listed: the whole photo is stored",
    "without_size": "box without width and height: the whole photo is stored",
    "without_scale": "box in pixels of a missing photo: the whole photo is stored",
    "empty": "box without area: the whole photo is stored",
    "outside": "box entirely outside the photo: the whole photo is stored",
    "clipped": "box partly outside the photo: the part inside is stored",
    "tiny": "box of a few pixels: too small to show a garment",
    GOOD_STREET: "street boxes inside their photos",
    GOOD_SHOP: "shop boxes inside their photos",
    WITHOUT_ANY: "photos without boxes: the whole photo is stored",
}


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuses an unwritable path before the long check begins.

    Raises:
        FashionJaxError: if the path is a folder, or its folder cannot be made or written to.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FashionJaxError(f"cannot write the contact sheet {path}: {error}") from error
    strange = path.exists() and not is_file(path)
    if strange or not os.access(path.parent, os.W_OK):
        problem = "it is no file" if strange else f"no permission to write in {path.parent}"
        raise FashionJaxError(f"cannot write the contact sheet {path}: {problem}")


def write_contact_sheet(
    path: str | os.PathLike[str],
    groups: Sequence[SampleGroup],
    photos: PhotoSource,
    margin: float,
    title: str,
) -> None:
    """Draws samples and writes them as PNG; see `draw_contact_sheet` and `atomic_write`."""
    encoded = io.BytesIO()
    draw_contact_sheet(groups, photos, margin, title).save(encoded, "PNG")
    atomic_write(path, encoded.getvalue())


def draw_contact_sheet(
    groups: Sequence[SampleGroup], photos: PhotoSource, margin: float, title: str
) -> Image.Image:
    """Draws a sheet of cells, group by group.

    Args:
        groups: items to show.
        photos: source of their photos; each is decoded once more.
        margin: margin around boxes, as for the crops.
        title: title of the sheet.
    """
    sheet = PhotoSheet(_WIDTH, _height(groups))
    sheet.text(title, (_BORDER, _BORDER - 4), _WIDTH - 2 * _BORDER, size=18, bold=True)
    sheet.text(_LEGEND, (_BORDER, _BORDER + 22), _WIDTH - 2 * _BORDER, MUTED, size=13)
    top = _BORDER + _TITLE
    for group in groups:
        _draw_heading(sheet, top, group)
        top += _HEADING
        for number, item in enumerate(group.items):
            row, column = divmod(number, _COLUMNS)
            corner = (_BORDER + column * (CELL[0] + _GAP), top + row * (CELL[1] + _GAP))
            _draw_item(sheet, corner, item, photos, margin)
        top += _rows(group) * (CELL[1] + _GAP)
    return sheet.image


def _height(groups: Sequence[SampleGroup]) -> int:
    heights = [_HEADING + _rows(group) * (CELL[1] + _GAP) for group in groups]
    return _BORDER + _TITLE + sum(heights) + _BORDER


def _rows(group: SampleGroup) -> int:
    return -(-len(group.items) // _COLUMNS)


def _draw_heading(sheet: PhotoSheet, top: int, group: SampleGroup) -> None:
    shown = f"{group.total:,}"
    if len(group.items) < group.total:
        shown += f", {len(group.items)} of them shown"
    text = f"{_HEADINGS[group.kind]} ({shown})"
    colour = {GOOD_STREET: GOOD_COLOUR, GOOD_SHOP: GOOD_COLOUR, WITHOUT_ANY: MUTED}.get(
        group.kind, WRONG_COLOUR
    )
    sheet.text(text, (_BORDER, top + 6), _WIDTH - 2 * _BORDER, colour, size=15, bold=True)


def _draw_item(
    sheet: PhotoSheet,
    corner: tuple[int, int],
    item: PlannedItem,
    photos: PhotoSource,
    margin: float,
) -> None:
    try:
        photo = photos.load(item.photo_id)
    except UndecodablePhotoError:  # readable during the check, no longer now
        gone = f"{item.photo_id}: no longer readable"
        sheet.text(gone, corner, CELL[0], WRONG_COLOUR, keep_end=True)
        return
    height, width = photo.shape[:2]
    place = locate(item, photos, height, width, margin)
    draw_cell(sheet, corner, photo, place, item.photo_id)
