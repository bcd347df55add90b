"""Exchanges what is known of a catalogue's photos; no vector is touched."""

import dataclasses
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool
from tabulate import tabulate

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.photo_lists.fields import FIELD, differing, type_name
from fashion_jax.errors import named
from fashion_jax.retrieval.catalogue.changes import open_for_change
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError
from fashion_jax.retrieval.catalogue.matching import (
    NONE,
    Rows,
    box_columns,
    first_equal,
)


@dataclasses.dataclass(frozen=True)
class UpdatedIndex:
    """An index after, or before, something else became known of its photos.

    Attributes:
        listed: number of rows in the list.
        found: number of photos in the index that the list speaks of.
        changed: number of photos of which something else is known.
        facts: number of changed photos by what changed: `category`, `domain`, fields.
        new_fields: types of fields that no photo had before, by name.
        missing: names of photos or products of the list that are not in the index.
        photos: number of photos in the index.
        directory: absolute path of the index.
        done: whether the index was changed; `False` for a dry run.
    """

    listed: int
    found: int
    changed: int
    facts: Mapping[str, int]
    new_fields: Mapping[str, str]
    missing: Sequence[str]
    photos: int
    directory: str
    done: bool

    def to_table(self) -> str:
        """A table for people."""
        facts = ", ".join(f"{name} {count:,}" for name, count in self.facts.items())
        rows = [
            ("changed", self.changed, facts),
            ("unchanged", self.found - self.changed, ""),
            ("not in the list", self.photos - self.found, ""),
        ]
        fields = ", ".join(f"{name} ({kind})" for name, kind in self.new_fields.items())
        notes = [f"new fields: {fields}"] if fields else []
        if self.missing:
            notes.append(f"not in the index: {len(self.missing):,} ({named(self.missing)})")
        state = "" if self.done else "; nothing was changed"
        last = f"{self.listed:,} rows, {self.photos:,} photos{state}: {self.directory}"
        return "\n".join([tabulate(rows, tablefmt="plain", intfmt=","), *notes, last])


@dataclasses.dataclass(frozen=True)
class Facts:
    """Rows of a list, in columns of an `ItemTable`.

    Attributes:
        keys: columns by which a row finds its photos: `photo_id`, `product` or both, and a box with
            its unit; no two rows are equal.
        values: columns to be exchanged; null for no value.
    """

    keys: pa.Table
    values: pa.Table


@at_addresses("directory", must_exist=("directory",))
def update_photos(
    directory: str | os.PathLike[str],
    read: Callable[[ItemTable], Facts],
    missing_ok: bool = False,
    dry_run: bool = False,
) -> UpdatedIndex:
    """Exchange what is known of photos, in one step for readers.

    Args:
        directory: folder of the catalogue.
        read: function that reads the list, given the present items, whose fields keep their types.
        missing_ok: skip rows without a photo in the catalogue.
        dry_run: change nothing.

    Raises:
        CatalogueError: rows without a photo, and `missing_ok` is not set.
        StorageError: not a catalogue, or a damaged one.
    """
    with open_for_change(directory) as change:
        update = _Update(change.contents, read(change.contents.items))
        if update.missing and not missing_ok:
            raise CatalogueError(
                f"{len(update.missing):,} of the list's {update.facts.keys.num_rows:,} rows are "
                f"not in the catalogue: {named(update.missing)}. Nothing was changed; correct the "
                f"list, or skip these rows (--missing_ok)"
            )
        tables = dict(update.new_tables())
        if tables and not dry_run:
            change.commit(change.with_items(tables))
        return update.result(str(change.target.resolve()), done=not dry_run)


class _Update:
    """The difference that a list makes to a catalogue."""

    def __init__(self, contents: Contents, facts: Facts) -> None:
        self.facts = facts
        self._contents = contents
        items = contents.items
        columns = {**{name: items.column(name) for name in _KEYS}, **box_columns(items)}
        keys = pa.table(columns).select(facts.keys.column_names)
        self._rows = first_equal(facts.keys, keys)  # of the list, by photo

    @functools.cached_property
    def missing(self) -> list[str]:
        """Keys without a photo, as a message names them."""
        rows = np.setdiff1d(np.arange(self.facts.keys.num_rows), self._rows)
        keys = self.facts.keys.take(pa.array(rows))
        names = [keys[name] for name in _KEYS if name in keys.column_names]
        return pc.binary_join_element_wise(*names, " of product ").to_pylist()

    def result(self, directory: str, done: bool) -> UpdatedIndex:
        """Count what the change does."""
        present = self._contents.items
        known = {name for name, column in present.fields.items() if column.null_count < len(column)}
        fields = {
            name.removeprefix(FIELD): type_name(column.type)
            for name, column in zip(
                self.facts.values.column_names, self.facts.values.columns, strict=True
            )
            if name.startswith(FIELD) and column.null_count < len(column)
        }
        counts = {name.removeprefix(FIELD): int(mask.sum()) for name, mask in self._masks.items()}
        return UpdatedIndex(
            listed=self.facts.keys.num_rows,
            found=int((self._rows != NONE).sum()),
            changed=int(self._differs.sum()),
            facts={name: count for name, count in counts.items() if count},
            new_fields={name: kind for name, kind in fields.items() if name not in known},
            missing=self.missing,
            photos=len(self._contents),
            directory=directory,
            done=done,
        )

    def new_tables(self) -> Iterator[tuple[int, ItemTable]]:
        """Tables of items that change, by segment."""
        for number, segment in enumerate(self._contents.segments):
            photos = self._contents.photo_numbers(number)
            if self._differs[photos[photos >= 0]].any():
                rows = np.where(photos < 0, NONE, self._rows[photos])
                yield number, segment.items.with_columns(self._merged(segment.items, rows))

    @functools.cached_property
    def _masks(self) -> Mapping[str, Bool[np.ndarray, " photos"]]:
        """Whether a photo's value changes, by column."""
        items = self._contents.items
        return {
            name: differing(_column(items, name, column.type), column)
            for name, column in self._merged(items, self._rows).items()
        }

    @functools.cached_property
    def _differs(self) -> Bool[np.ndarray, " photos"]:
        return np.logical_or.reduce(list(self._masks.values()))

    def _merged(self, items: ItemTable, rows: Rows) -> dict[str, pa.ChunkedArray]:
        """The list's columns for these items; their present values where the list has no row."""
        values = self.facts.values
        places = pa.array(np.where(rows == NONE, np.arange(len(items)), len(items) + rows))
        merged = {}
        for name in values.column_names:
            old, new = _column(items, name, values[name].type), values[name]
            merged[name] = pa.chunked_array([*old.chunks, *new.chunks], new.type).take(places)
        return merged


_KEYS = ("photo_id", "product")


def _column(items: ItemTable, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    if name in items.columns.column_names:
        return items.columns[name]
    return pa.chunked_array([pa.nulls(len(items), kind)])
