"""The contact sheet of `data check`: what is cut out of photos, for a person to look at.

Counts say that boxes lie inside their photos; only a look says that they lie around garments.
"""

import io
import os
import pathlib
from collections.abc import Sequence

from PIL import Image, ImageDraw

from fashion_jax.datasets.building.contact_cell import (
    CELL,
    GOOD_COLOUR,
    INK,
    MUTED,
    PAPER,
    WRONG_COLOUR,
    Sheet,
    draw_cell,
    draw_text,
)
from fashion_jax.datasets.building.crop_samples import (
    GOOD_SHOP,
    GOOD_STREET,
    WITHOUT_ANY,
    SampleGroup,
)
from fashion_jax.datasets.building.crops import locate
from fashion_jax.datasets.building.plan import PhotoSource, PlannedItem
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write

_COLUMNS = 4
_GAP, _BORDER = 16, 24
_TITLE, _HEADING = 64, 34  # heights
_WIDTH = 2 * _BORDER + _COLUMNS * CELL[0] + (_COLUMNS - 1) * _GAP
_LEGEND = "left: the photo with its box as it was read; right: what is cut out and stored"

_HEADINGS = {
    "missing": "no box in the lists: the whole photo is stored",
    "without_size": "box without width and height: the whole photo is stored",
    "without_scale": "box in pixels of a photo that is not there: the whole photo is stored",
    "empty": "box without area: the whole photo is stored",
    "outside": "box entirely outside the photo: the whole photo is stored",
    "clipped": "box partly outside the photo: what lies inside is stored",
    GOOD_STREET: "boxes inside their photos, street",
    GOOD_SHOP: "boxes inside their photos, shop",
    WITHOUT_ANY: "no box belongs to these: the whole photo is stored",
}


def require_writable(path: str | os.PathLike[str]) -> None:
    """Refuses a place that the sheet cannot be written to, before the long check begins.

    Raises:
        FashionJaxError: the path is a folder, or its folder cannot be made or written to.
    """
    path = pathlib.Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FashionJaxError(f"cannot write the contact sheet {path}: {error}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        problem = "it is a folder" if path.is_dir() else f"no permission to write in {path.parent}"
        raise FashionJaxError(f"cannot write the contact sheet {path}: {problem}")


def write_contact_sheet(
    path: str | os.PathLike[str],
    groups: Sequence[SampleGroup],
    photos: PhotoSource,
    margin: float,
    title: str,
) -> None:
    """Draws samples and writes them as PNG; see `draw_contact_sheet`."""
    encoded = io.BytesIO()
    draw_contact_sheet(groups, photos, margin, title).save(encoded, "PNG")
    try:
        atomic_write(path, encoded.getvalue())
    except OSError as error:
        raise FashionJaxError(f"cannot write the contact sheet {path}: {error}") from error


def draw_contact_sheet(
    groups: Sequence[SampleGroup], photos: PhotoSource, margin: float, title: str
) -> Image.Image:
    """A sheet of cells, group by group.

    Args:
        groups: items to show.
        photos: where their photos come from; each is decoded once more.
        margin: around boxes, as the crops are cut.
        title: of the sheet.
    """
    image = Image.new("RGB", (_WIDTH, _height(groups)), PAPER)
    sheet = Sheet(image, ImageDraw.Draw(image))
    draw_text(sheet, (_BORDER, _BORDER - 4), title, _WIDTH - 2 * _BORDER, INK, size=18, bold=True)
    draw_text(sheet, (_BORDER, _BORDER + 22), _LEGEND, _WIDTH - 2 * _BORDER, MUTED, size=13)
    top = _BORDER + _TITLE
    for group in groups:
        _draw_heading(sheet, top, group)
        top += _HEADING
        for number, item in enumerate(group.items):
            row, column = divmod(number, _COLUMNS)
            corner = (_BORDER + column * (CELL[0] + _GAP), top + row * (CELL[1] + _GAP))
            _draw_item(sheet, corner, item, photos, margin)
        top += _rows(group) * (CELL[1] + _GAP)
    return image


def _height(groups: Sequence[SampleGroup]) -> int:
    heights = [_HEADING + _rows(group) * (CELL[1] + _GAP) for group in groups]
    return _BORDER + _TITLE + sum(heights) + _BORDER


def _rows(group: SampleGroup) -> int:
    return -(-len(group.items) // _COLUMNS)


def _draw_heading(sheet: Sheet, top: int, group: SampleGroup) -> None:
    shown = f"{group.total:,}"
    if len(group.items) < group.total:
        shown += f", {len(group.items)} of them shown"
    text = f"{_HEADINGS[group.kind]} ({shown})"
    colour = {GOOD_STREET: GOOD_COLOUR, GOOD_SHOP: GOOD_COLOUR, WITHOUT_ANY: MUTED}.get(
        group.kind, WRONG_COLOUR
    )
    draw_text(sheet, (_BORDER, top + 6), text, _WIDTH - 2 * _BORDER, colour, size=15, bold=True)


def _draw_item(
    sheet: Sheet, corner: tuple[int, int], item: PlannedItem, photos: PhotoSource, margin: float
) -> None:
    try:
        photo = photos.load(item.photo_id)
    except UndecodablePhotoError:  # it was there a moment ago; the sheet does without it
        draw_text(sheet, corner, f"{item.photo_id}: gone", CELL[0], WRONG_COLOUR)
        return
    height, width = photo.shape[:2]
    place = locate(item, photos, height, width, margin)
    draw_cell(sheet, corner, photo, place, item.photo_id)
