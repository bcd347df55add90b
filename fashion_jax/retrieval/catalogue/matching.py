"""Rows of two tables that belong together, found without a loop over rows."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from fashion_jax.datasets.photo_lists.checks import number_values
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.retrieval.catalogue.item_table import ItemTable

Rows = Int64[np.ndarray, "_"]
NONE = -1
"""In the place of a row's number: no such row."""


def row_codes(*tables: pa.Table) -> list[Rows]:
    """Number rows so that equal ones, in the same table or in others, have equal numbers.

    Args:
        *tables: tables with the same columns, of texts and numbers; nulls are equal.

    Returns:
        A number from 0 for each row of each table.
    """
    lengths = [table.num_rows for table in tables]
    codes = np.zeros(sum(lengths), np.int64)
    for name in tables[0].column_names:
        parts = [chunk for table in tables for chunk in table[name].chunks]
        own = number_values(pa.chunked_array(parts, tables[0][name].type))[0] + 1
        if codes.any() and own.any():
            own = np.unique(codes * (own.max() + 1) + own, return_inverse=True)[1]
        codes = own if own.any() else codes
    return np.split(codes, np.cumsum(lengths)[:-1])


def first_equal(table: pa.Table, wanted: pa.Table) -> Rows:
    """Find the first row of a table that equals each row of another one; `NONE` for none."""
    return _found(*row_codes(table, wanted))


def pair_rows(table: pa.Table, wanted: pa.Table) -> Rows:
    """Find an equal row of a table for each row of another one; each row once, the first first.

    Returns:
        A row of `table` for each row of `wanted`; `NONE` for none.
    """
    codes = row_codes(table, wanted)
    width = max(map(len, codes)) + 1
    return _found(*(code * width + _numbers(code) for code in codes))


def _found(codes: Rows, wanted: Rows) -> Rows:
    known, first = np.unique(codes, return_index=True)
    places = np.searchsorted(known, wanted)
    hit = np.zeros(len(wanted), bool)
    within = places < len(known)
    hit[within] = known[places[within]] == wanted[within]
    found = np.full(len(wanted), NONE, np.int64)
    found[hit] = first[places[hit]]
    return found


def _numbers(codes: Rows) -> Rows:
    """Number the rows of each code from 0."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    numbers = np.empty(len(codes), np.int64)
    numbers[order] = np.arange(len(codes)) - np.repeat(starts, np.diff(starts, append=len(codes)))
    return numbers


def vector_key(items: ItemTable) -> pa.Table:
    """Return what a photo's vector follows from; the source stands for bytes not yet known."""
    content = pc.coalesce(items.column("sha256"), items.column("source"))
    return pa.table({"sha256": content, **box_columns(items)})


def pair_photos(present: ItemTable, wanted: ItemTable) -> Rows:
    """Find the present photo of the same id and box; of several, one of the same product first.

    Returns:
        A row of `present`, each at most once, for each row of `wanted`; `NONE` for none.
    """
    keys = [
        pa.table({"photo_id": items.column("photo_id"), **box_columns(items)})
        for items in (present, wanted)
    ]
    exact = [
        key.append_column("product", items.column("product"))
        for key, items in zip(keys, (present, wanted), strict=True)
    ]
    pairs = pair_rows(*exact)
    free, rest = np.setdiff1d(np.arange(len(present)), pairs), np.flatnonzero(pairs == NONE)
    others = pair_rows(keys[0].take(free), keys[1].take(rest))
    found = others != NONE
    pairs[rest[found]] = free[others[found]]
    return pairs


def box_columns(items: ItemTable) -> dict[str, Any]:
    """Return the columns of a photo's box, whose unit counts only where there is a box."""
    unit = pc.fill_null(items.column("box_unit"), "pixels")
    there = pc.is_valid(items.column("x"))
    return {
        **{name: items.column(name) for name in BOX},
        "box_unit": pc.if_else(there, unit, pa.scalar(None, pa.string())),
    }


def take(column: pa.ChunkedArray, rows: Rows) -> pa.ChunkedArray:
    """Return values of a column by row; null for `NONE`."""
    return column.take(pa.array(rows, mask=rows == NONE))
