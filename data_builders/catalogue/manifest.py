"""Manifest of a catalogue: read, checked, and brought into the order of records."""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.records import DOMAIN_NAMES, NO_CAMERA, Domain

from .cells import Cells, read_cells
from .checks import check_cells
from .columns import BOX
from .problems import ManifestProblems

DEFAULT_CATEGORY = "item"

_ENTRY = ("photo", "identity", *BOX, "split")
_FACTS = ("category", "domain", "camera")
_POSITION = "position"


@dataclasses.dataclass(frozen=True)
class ManifestTable:
    """Content of a valid manifest.

    Attributes:
        rows: `photo`, `identity`, `domain`, `category`, `split` (text), `camera` (int32), `x`,
            `y`, `width`, `height` (float64), ordered by photo and identity. Only boxes and, in all
            rows at once, the split may be null.
        problems: names of tolerated defects, by kind, for the report.
        sha256: hash of the file.
    """

    rows: pa.Table
    problems: Mapping[str, Sequence[str]]
    sha256: str


def read_manifest(data: bytes, place: str) -> ManifestTable:
    """Read a manifest and check all of it.

    Args:
        data: content of the file, CSV or Parquet.
        place: path or URI of the file, for messages.

    Raises:
        ManifestError: if it is invalid; with all its problems.
    """
    problems = ManifestProblems(place)
    cells = read_cells(data, problems)
    checked = check_cells(cells, problems)
    rows, repeated = _ordered_without_repeats(checked, cells, problems)
    problems.raise_any()
    kept = {"repeated_row": repeated, "unknown_column": cells.unknown}
    return ManifestTable(rows, kept, hashlib.sha256(data).hexdigest())


def _ordered_without_repeats(
    rows: pa.Table, cells: Cells, problems: ManifestProblems
) -> tuple[pa.Table, Sequence[str]]:
    """Sort rows by photo, so that a photo of many items is read once, and drop repeated ones.

    The order does not depend on the manifest's. Rows that contradict each other are a problem.

    Returns:
        The rows, and the photos with repeated rows.
    """
    numbered = _with_defaults(rows).append_column(_POSITION, pa.array(np.arange(rows.num_rows)))
    ordered = numbered.sort_by([(name, "ascending") for name in (*_ENTRY, _POSITION)])
    again = _same_as_before(ordered)
    later = np.flatnonzero(again)
    # Index of the first row of the same entry, for each repetition.
    first = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))[later]
    clash = np.zeros(len(later), bool)
    for name in _FACTS:  # none of them is null
        clash |= pc.not_equal(ordered[name].take(later), ordered[name].take(first)).to_numpy()
    _add_clashes(ordered.take(later[clash]), ordered.take(first[clash]), cells, problems)
    repeated = pc.unique(ordered["photo"].take(later[~clash])).to_pylist()
    return ordered.filter(pa.array(~again)).select(rows.column_names), repeated


def _same_as_before(ordered: pa.Table) -> Bool[np.ndarray, " rows"]:
    """Whether a row has the same entry as the row before; never for rows without a name."""
    same = pc.and_(pc.is_valid(ordered["photo"]), pc.is_valid(ordered["identity"])).to_numpy()
    same = same & (np.arange(len(same)) > 0)
    for name in _ENTRY:
        column = ordered[name].combine_chunks()
        here, before = column.slice(1), column.slice(0, len(column) - 1)
        both_empty = pc.and_(pc.is_null(here), pc.is_null(before))
        equal = pc.or_(pc.fill_null(pc.equal(here, before), False), both_empty)
        same[1:] &= equal.to_numpy(zero_copy_only=False)
    return same


def _add_clashes(
    later: pa.Table, first: pa.Table, cells: Cells, problems: ManifestProblems
) -> None:
    """Add rows that contradict the first one of the same entry to the problems."""
    places = {row: place for place, row in enumerate(later[_POSITION].to_pylist())}

    def describe(row: int) -> str:
        here, there = (table.slice(places[row], 1).to_pylist()[0] for table in (later, first))
        differing = [name for name in _FACTS if here[name] != there[name]]
        says, said = (
            ", ".join(f"{name} {short(row[name])}" for name in differing) for row in (here, there)
        )
        return f"{cells.place(row)}: {says}, but {cells.place(there[_POSITION])} has {said}"

    problems.add(
        "same photo, identity, box and split as another row, but other values",
        sorted(places),
        describe,
    )


def _with_defaults(rows: pa.Table) -> pa.Table:
    defaults = {
        "domain": DOMAIN_NAMES[Domain.SHOP],
        "category": DEFAULT_CATEGORY,
        "camera": NO_CAMERA,
    }
    filled = {
        name: pc.fill_null(rows[name], defaults[name]) if name in defaults else rows[name]
        for name in rows.column_names
    }
    return pa.table(filled)
