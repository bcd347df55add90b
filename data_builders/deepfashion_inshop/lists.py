"""Rows of In-Shop's two lists: read and validated, with all problems raised at once."""

import dataclasses
import pathlib
import re
from collections.abc import Sequence

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import (
    ListProblems,
    RowError,
    Table,
    one_of,
    pixels,
    read_table,
    short,
)
from fashion_jax.datasets.building.raw_copy import stays_inside

from .layout import PHOTOS

STATUSES = ("train", "query", "gallery")

_PARTITION_COLUMNS = ("image_name", "item_id", "evaluation_status")
_BOX_COLUMNS = ("image_name", "clothes_type", "pose_type", "x_1", "y_1", "x_2", "y_2")
_PHOTO = re.compile(rf"{PHOTOS}/(?P<category>[^/]+/[^/]+)/(?P<item>id_\d+)/[^/]+")
_ITEM = re.compile(r"id_\d+")


@dataclasses.dataclass(frozen=True, slots=True)
class PartitionRow:
    """One row of the partition.

    Attributes:
        photo: path of the photo, as in `img/WOMEN/Dresses/id_00000002/02_1_front.jpg`.
        category: the two folders below `img`: `WOMEN/Dresses`.
        item: id of the product, such as `id_00000002`.
        item_of_path: id of the product in the path.
        status: one of `STATUSES`.
    """

    photo: str
    category: str
    item: str
    item_of_path: str
    status: str


@dataclasses.dataclass(frozen=True, slots=True)
class BoxRow:
    """One row of the list of boxes.

    Attributes:
        photo: path of the photo.
        box: box in pixels of `img/`.
    """

    photo: str
    box: Box


def read_lists(
    partition: pathlib.Path, boxes: pathlib.Path
) -> tuple[Table[PartitionRow], Table[BoxRow]]:
    """Read both lists.

    Raises:
        ListError: if rows are invalid; with their number, and the first of them.
    """
    problems = ListProblems("DeepFashion In-Shop's lists")
    rows = read_table(partition, _PARTITION_COLUMNS, _partition_row, problems)
    box_rows = read_table(boxes, _BOX_COLUMNS, _box_row, problems)
    problems.raise_any()
    return rows, box_rows


def _partition_row(fields: Sequence[str]) -> PartitionRow:
    photo, item, status = fields
    match = _photo(photo)
    if not _ITEM.fullmatch(item):
        raise RowError(f"item_id must look like id_00000002, not {short(item)}")
    one_of(status, STATUSES, "evaluation_status")
    return PartitionRow(photo, match["category"], item, match["item"], status)


def _box_row(fields: Sequence[str]) -> BoxRow:
    _photo(fields[0])
    x_1, y_1, x_2, y_2 = map(pixels, fields[3:], _BOX_COLUMNS[3:])
    return BoxRow(fields[0], Box(x_1, y_1, x_2 - x_1, y_2 - y_1))


def _photo(name: str) -> re.Match[str]:
    match = _PHOTO.fullmatch(name)
    if match is None or not stays_inside(name):
        example = f"{PHOTOS}/WOMEN/Dresses/id_00000002/02_1_front.jpg"
        raise RowError(f"image_name must look like {example}, not {short(name)}")
    return match
