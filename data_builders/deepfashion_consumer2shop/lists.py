"""Rows of Consumer-to-Shop's lists: read and validated, with all problems raised at once."""

import dataclasses
import pathlib
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from fashion_jax.datasets.building.list_files import (
    ListProblems,
    RowError,
    one_of,
    pixels,
    read_table,
    short,
)
from fashion_jax.datasets.building.raw_copy import stays_inside
from fashion_jax.datasets.records import Domain

STATUSES = ("train", "val", "test")

_BOX_COLUMNS = ("image_name", "clothes_type", "source_type", "x_1", "y_1", "x_2", "y_2")
_PAIR_COLUMNS = ("image_pair_name_1", "image_pair_name_2", "item_id", "evaluation_status")
_SOURCES = {"1": Domain.SHOP, "2": Domain.STREET}
_PHOTO = re.compile(r"img/([^/]+/[^/]+)/.+")

RowType = TypeVar("RowType")


@dataclasses.dataclass(frozen=True, slots=True)
class CornersRow:
    """A row of the list of boxes.

    Attributes:
        photo: path of the photo.
        domain: domain of its source type.
        corners: x_1, y_1, x_2, y_2 as written, in pixels of the low-resolution photo.
    """

    photo: str
    domain: Domain
    corners: tuple[int | float, int | float, int | float, int | float]


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A row of the partition: a consumer's and a shop's photo of one item.

    Attributes:
        consumer: path of the consumer's photo.
        shop: path of the shop's photo.
        item: id of the item.
        status: one of `STATUSES`.
    """

    consumer: str
    shop: str
    item: str
    status: str


def category_of(photo: str) -> str:
    """Return the two folders that name a photo's category, such as `DRESSES/Skirt`."""
    match = _PHOTO.fullmatch(photo)
    if match is None:
        raise ValueError(f"a path as checked by read_lists was expected, not {photo!r}")
    return match[1]


def read_lists(boxes: pathlib.Path, partition: pathlib.Path) -> tuple[list[CornersRow], list[Pair]]:
    """Read both lists.

    Raises:
        ListError: if rows are invalid; with their number, and the first of them.
    """
    problems = ListProblems("Consumer-to-Shop's lists")
    rows = _read(boxes, _BOX_COLUMNS, _box_row, problems)
    pairs = _read(partition, _PAIR_COLUMNS, _pair, problems)
    problems.raise_any()
    return rows, pairs


def _read(
    path: pathlib.Path,
    columns: Sequence[str],
    parse: Callable[[Sequence[str]], RowType],
    problems: ListProblems,
) -> list[RowType]:
    table = read_table(path, columns, parse, problems)
    if table.announced != len(table.rows):
        problems.add(
            f"{path}, line 1",
            f"{table.announced:,} rows are announced, {len(table.rows):,} can be read: "
            "is the file whole?",
        )
    return table.rows


def _box_row(fields: Sequence[str]) -> CornersRow:
    photo, _, source, *corners = fields
    one_of(source, tuple(_SOURCES), "source_type")
    numbers = zip(corners, _BOX_COLUMNS[3:], strict=True)
    x_1, y_1, x_2, y_2 = (pixels(text, name) for text, name in numbers)
    return CornersRow(_photo(photo), _SOURCES[source], (x_1, y_1, x_2, y_2))


def _pair(fields: Sequence[str]) -> Pair:
    consumer, shop, item, status = fields
    one_of(status, STATUSES, "evaluation_status")
    return Pair(_photo(consumer), _photo(shop), item, status)


def _photo(path: str) -> str:
    if not stays_inside(path):
        raise RowError(f"a photo's path must stay in the raw copy, unlike {short(path)}")
    if not _PHOTO.fullmatch(path):
        example = "img/DRESSES/Skirt/id_00000001/shop_01.jpg"
        raise RowError(f"a photo's path must be like {example}, not {short(path)}")
    return path
