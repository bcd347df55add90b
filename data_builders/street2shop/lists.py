"""Rows of Street2Shop's lists: read and validated, with all problems raised at once."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import (
    ListProblems,
    RowError,
    is_pixels,
    short,
    whole_number,
)
from fashion_jax.datasets.building.tally import WITHOUT_SIZE
from fashion_jax.files import LARGEST_JSON, UnreadableFileError, read_file
from fashion_jax.strict_json import JsonError, decode

from .layout import ROLES


@dataclasses.dataclass(frozen=True, slots=True)
class ListRow:
    """One row of a list.

    Attributes:
        photo: number of the photo.
        product: number of the product, unique only inside the category.
        box: box around the product; `None` in the list of shop photos, and for a box without size.
        box_defect: `without_size` if a street photo's box lacks width or height.
    """

    photo: int
    product: int
    box: Box | None
    box_defect: str | None


def read_lists(
    paths: Mapping[str, Mapping[str, pathlib.Path]],
) -> dict[str, dict[str, list[ListRow]]]:
    """Read all lists.

    Args:
        paths: paths by category and role.

    Returns:
        Rows by role and category.

    Raises:
        ListError: if rows or files are invalid; with their number, and the first of them.
    """
    problems = ListProblems("Street2Shop's lists")
    rows: dict[str, dict[str, list[ListRow]]] = {role: {} for role in ROLES}
    for category, by_role in paths.items():
        for role, path in by_role.items():
            rows[role][category] = list(_read(path, role != "retrieval", problems))
    problems.raise_any()
    return rows


def _read(path: pathlib.Path, has_boxes: bool, problems: ListProblems) -> Iterator[ListRow]:
    try:
        rows = decode(read_file(path, LARGEST_JSON), any_number=True)  # told with their rows
    except (UnreadableFileError, JsonError) as error:
        problems.add(str(path), f"not JSON: {error}")
        return
    if not isinstance(rows, list):
        problems.add(str(path), f"a list of rows was expected, not {short(rows)}")
        return
    for number, row in enumerate(rows):
        try:
            yield _parse(row, has_boxes)
        except RowError as error:
            problems.add(f"{path}, row {number}", error)


def _parse(row: Any, has_boxes: bool) -> ListRow:
    if not isinstance(row, dict):
        raise RowError(f"an object was expected, not {short(row)}")
    photo, product = _number(row, "photo"), _number(row, "product")
    if not has_boxes:
        return ListRow(photo, product, None, None)
    box = _box(row.get("bbox"))
    return ListRow(photo, product, box, WITHOUT_SIZE if box is None else None)


def _number(row: dict[str, Any], name: str) -> int:
    found = row.get(name)
    value = whole_number(found) if isinstance(found, str) else found
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RowError(f"{name} must be a whole number, not {short(found)}")
    return value


def _box(box: Any) -> Box | None:
    if box is None:
        return None
    if not isinstance(box, dict):
        raise RowError(f"bbox must be an object, not {short(box)}")
    if box.get("width") is None or box.get("height") is None:
        return None
    for name in ("left", "top", "width", "height"):
        value = box.get(name)
        if not is_pixels(value):
            raise RowError(f"bbox {name} must be a number of pixels, not {short(value)}")
    return Box(box["left"], box["top"], box["width"], box["height"])
