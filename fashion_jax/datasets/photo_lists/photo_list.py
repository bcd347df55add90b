"""A list of photos: read, checked, and brought into the order of records."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from fashion_jax.datasets.boxes import unit_of
from fashion_jax.datasets.building.list_files import cut
from fashion_jax.datasets.photo_lists.cells import Cells, read_cells
from fashion_jax.datasets.photo_lists.checks import check_cells
from fashion_jax.datasets.photo_lists.columns import BOX, ListUse
from fashion_jax.datasets.photo_lists.fields import FIELD, differing
from fashion_jax.datasets.photo_lists.problems import RowProblems
from fashion_jax.datasets.photo_lists.products import alike
from fashion_jax.datasets.photo_lists.typed_columns import FieldReader
from fashion_jax.datasets.records import DOMAIN_NAMES, NO_CAMERA, Domain
from fashion_jax.similar_names import reprs

DEFAULT_CATEGORY = "item"
MAX_BYTES = 2**32
"""Limit for the file of a list."""

_ENTRY = ("photo", "product", *BOX, "split")
_OF_DATASETS = ("split", "camera")
_POSITION = "position"


@dataclasses.dataclass(frozen=True)
class PhotoList:
    """Content of a valid list.

    Attributes:
        rows: `photo`, `product`, `domain`, `category`, `split` (text), `camera` (int32), `x`,
            `y`, `width`, `height` (float64), ordered by photo and product; without split and camera
            where they do not count. Only boxes, what is not required and, in all rows at once, the
            split may be null. All further columns are fields (see
            `fashion_jax.datasets.photo_lists.fields`), under their names with `FIELD` in front;
            null where a row has none.
        columns: names of the known columns that the list has.
        box_unit: unit of the boxes, as recognised: `pixels`, or `fraction` of the photo.
        problems: names of tolerated defects, by kind, for the report.
        sha256: hash of the file.
    """

    rows: pa.Table
    columns: Sequence[str]
    box_unit: str
    problems: Mapping[str, Sequence[str]]
    sha256: str


def read_photo_list(
    data: bytes,
    place: str,
    use: ListUse | None = None,
    category: str = DEFAULT_CATEGORY,
    domain: str = DOMAIN_NAMES[Domain.SHOP],
    types: Mapping[str, str] | None = None,
    none: Sequence[str] = (),
) -> PhotoList:
    """Read a list and check all of it.

    Args:
        data: content of the file, CSV, Parquet or JSON lines.
        place: path or URI of the file, for messages.
        use: demands on the list; by default those of a dataset.
        category: category of rows without one.
        domain: domain of rows without one.
        types: types of fields, by name, that do not follow from their values; other names are
            skipped.
        none: words for an empty cell, such as `N/A`, in upper or lower case.

    Raises:
        PhotoListError: if it is invalid; with all its problems.
    """
    problems, use = RowProblems(place), use or ListUse()
    cells = read_cells(data, problems, use, none)
    checked = check_cells(cells, problems, use.links)
    fields = FieldReader(problems, cells.place, types or {}, cells.untyped).read(cells.further)
    for name in fields.column_names:
        checked = checked.append_column(FIELD + name, fields[name])
    defaults = {"domain": domain, "category": category, "camera": NO_CAMERA}
    for name, value in defaults.items():
        filled = pc.fill_null(checked[name], value)
        checked = checked.set_column(checked.schema.get_field_index(name), name, filled)
    if not use.splits:
        checked = checked.drop_columns(_OF_DATASETS)
    rows, repeated = _ordered_without_repeats(checked, cells, problems)
    problems.raise_any()
    boxes = np.stack([rows[name].to_numpy() for name in BOX], axis=-1)
    kept = {
        "repeated_row": repeated,
        "unnamed_column": ["(no name)"] if cells.columns.unnamed else [],
        "products_alike": alike(pc.unique(rows["product"].drop_null()).to_pylist()),
    }
    columns = list(cells.columns.places)
    return PhotoList(rows, columns, unit_of(boxes), kept, hashlib.sha256(data).hexdigest())


def _ordered_without_repeats(
    rows: pa.Table, cells: Cells, problems: RowProblems
) -> tuple[pa.Table, Sequence[str]]:
    """Sort rows by photo, so that a photo of many items is read once, and drop repeated ones.

    The order does not depend on the list's. Rows that contradict each other are a problem.

    Returns:
        The rows, and the photos with repeated rows.
    """
    numbered = rows.append_column(_POSITION, pa.array(np.arange(rows.num_rows)))
    entry = [name for name in _ENTRY if name in rows.column_names]
    ordered = numbered.sort_by([(name, "ascending") for name in (*entry, _POSITION)])
    again = _same_as_before(ordered, entry, cells.columns.required)
    later = np.flatnonzero(again)
    # Index of the first row of the same entry, for each repetition.
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))[later]
    clash = np.zeros(len(later), bool)
    facts = [name for name in ordered.column_names if name not in (*_ENTRY, _POSITION)]
    for name in facts if len(later) else ():
        clash |= differing(ordered[name].take(later), ordered[name].take(first))
    _add_clashes(ordered.take(later[clash]), ordered.take(first[clash]), cells, problems)
    repeated = pc.unique(ordered["photo"].take(later[~clash])).to_pylist()
    return ordered.filter(pa.array(~again)).select(rows.column_names), repeated


def _same_as_before(
    ordered: pa.Table, entry: Sequence[str], required: Sequence[str]
) -> Bool[np.ndarray, " rows"]:
    """Whether a row has the same entry as the row before; never for rows that lack one."""
    same = np.arange(ordered.num_rows) > 0
    for name in required:
        same &= pc.is_valid(ordered[name]).to_numpy()
    for name in entry:
        column = ordered[name].combine_chunks()
        here, before = column.slice(1), column.slice(0, len(column) - 1)
        both_empty = pc.and_(pc.is_null(here), pc.is_null(before))
        equal = pc.or_(pc.fill_null(pc.equal(here, before), False), both_empty)
        same[1:] &= equal.to_numpy(zero_copy_only=False)
    return same


def _add_clashes(later: pa.Table, first: pa.Table, cells: Cells, problems: RowProblems) -> None:
    """Add rows that contradict the first one of the same entry to the problems."""
    places = {row: place for place, row in enumerate(later[_POSITION].to_pylist())}

    def describe(row: int) -> str:
        here, there = (table.slice(places[row], 1).to_pylist()[0] for table in (later, first))
        differing = [
            name for name in here if name not in (*_ENTRY, _POSITION) and here[name] != there[name]
        ]
        names = [name.removeprefix(FIELD) for name in differing]
        values = [map(cut, reprs(here[name], there[name])) for name in differing]
        says, said = (
            ", ".join(map(" ".join, zip(names, row, strict=True)))
            for row in zip(*values, strict=True)
        )
        return f"{cells.place(row)}: {says}, but {cells.place(there[_POSITION])} has {said}"

    entry = ", box and split" if "split" in first.column_names else " and box"
    problems.add(
        f"same photo, product{entry} as another row, but other values",
        sorted(places),
        describe,
    )
