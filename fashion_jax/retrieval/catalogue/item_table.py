"""A table of items, in columns: half a million of them take no Python objects."""

import itertools
import operator
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, SupportsIndex, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int, Int64

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.photo_lists.checks import number_values
from fashion_jax.datasets.photo_lists.columns import BOX
from fashion_jax.datasets.photo_lists.fields import FIELD, TYPES, field_column, type_name
from fashion_jax.errors import named
from fashion_jax.files import MEND, StorageError
from fashion_jax.retrieval.catalogue.items import (
    ITEM_COLUMNS,
    UNKNOWN_PRODUCT,
    CatalogueError,
    Item,
    Origin,
)
from fashion_jax.similar_names import did_you_mean, told_apart

_AT_ONCE = 4096
ORIGIN_COLUMNS: Mapping[str, pa.DataType] = {
    "source": pa.string(),
    **dict.fromkeys(BOX, pa.float64()),
    "box_unit": pa.string(),
    "sha256": pa.string(),
    "size": pa.int64(),
    "mtime_ns": pa.int64(),
}


class ItemTable(Sequence[Item]):
    """Items and their origins in columns, one row each; an `Item` is made when it is read.

    Attributes:
        columns: `photo_id`, `product`, `category`, `domain`; the fields, under their names with
            `FIELD` in front; and the attributes of `Origin`, with a box as `x`, `y`, `width` and
            `height`.
    """

    def __init__(self, columns: pa.Table) -> None:
        """See `of` for a table of items."""
        missing = {**dict.fromkeys(ITEM_COLUMNS, pa.string()), **ORIGIN_COLUMNS}
        for name in columns.column_names:
            missing.pop(name, None)
        for name, kind in missing.items():
            columns = columns.append_column(name, pa.nulls(columns.num_rows, kind))
        self.columns = columns

    @classmethod
    def of(cls, items: Iterable[Item], origins: Sequence[Origin] | None = None) -> "ItemTable":
        """Make a table of items; one that is a table already stays as it is.

        Args:
            items: the items.
            origins: origins, one per item; by default unknown.

        Raises:
            CatalogueError: text that is not Unicode, or a field's values of several types.
        """
        if isinstance(items, cls) and origins is None:
            return items
        items = list(items)
        names = dict.fromkeys(name for item in items for name in item.fields)
        try:
            columns = {
                name: pa.array([getattr(item, name) for item in items], pa.string())
                for name in ITEM_COLUMNS
            }
            for name in names:
                values = [item.fields.get(name) for item in items]
                columns[FIELD + name] = field_column(name, values)
        except UnicodeError as error:
            raise CatalogueError(f"an item's text cannot be stored: {error}. Rename it") from error
        return cls(pa.table({**columns, **_origin_columns(origins or [])}))

    @classmethod
    def concat(cls, tables: Sequence["ItemTable"]) -> "ItemTable":
        """Join tables; what a table does not know is null.

        Raises:
            CatalogueError: a field has different types in them.
        """
        if not tables:
            return cls.of([])
        try:
            columns = [table.columns for table in tables]
            return cls(pa.concat_tables(columns, promote_options="default"))
        except pa.ArrowException as error:
            raise CatalogueError(f"items do not fit together: {error}") from error

    def __len__(self) -> int:
        return self.columns.num_rows

    @overload
    def __getitem__(self, row: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, row: slice) -> "ItemTable": ...
    def __getitem__(self, row: SupportsIndex | slice) -> "Item | ItemTable":
        """Return an item, or a table of some rows."""
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        row = operator.index(row)
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} is out of range for {len(self)} items")
        (item,) = self.take([row % len(self)])
        return item

    def __iter__(self) -> Iterator[Item]:
        for start in range(0, len(self), _AT_ONCE):
            part = self.columns.slice(start, _AT_ONCE)
            own = zip(*(part[name].to_pylist() for name in ITEM_COLUMNS), strict=True)
            names = list(self.fields)
            known = zip(*(part[FIELD + name].to_pylist() for name in names), strict=True)
            for values, fields in zip(own, known if names else itertools.repeat(()), strict=False):
                given = zip(names, fields, strict=True)
                of_item = {name: value for name, value in given if value is not None}
                yield Item(**dict(zip(ITEM_COLUMNS, values, strict=True)), fields=of_item)

    def origin(self, row: int) -> Origin:
        """Return where the photo of a row comes from."""
        values = {name: self.columns[name][row].as_py() for name in ORIGIN_COLUMNS}
        box = [values.pop(name) for name in BOX]
        values["source"] = values["source"] or ""
        values["box_unit"] = values["box_unit"] or "pixels"
        return Origin(box=None if box[0] is None else Box(*box), **values)

    @property
    def fields(self) -> dict[str, pa.ChunkedArray]:
        """Columns of the fields, by name."""
        return {
            name.removeprefix(FIELD): self.columns[name]
            for name in self.columns.column_names
            if name.startswith(FIELD)
        }

    @property
    def types(self) -> dict[str, str]:
        """Types of the fields, by name."""
        return {name: type_name(column.type) for name, column in self.fields.items()}

    def column(self, name: str) -> pa.ChunkedArray:
        """Return `photo_id`, `product`, `category`, `domain` or a column of `Origin`."""
        return self.columns[name]

    def take(self, rows: Sequence[int] | Int[np.ndarray, " rows"]) -> "ItemTable":
        """Return the items of some rows, in this order."""
        return ItemTable(self.columns.take(pa.array(np.asarray(rows, np.int64))))

    def with_columns(self, columns: Mapping[str, Any]) -> "ItemTable":
        """Replace or append whole columns, by their names in `columns`."""
        table = self.columns
        for name, column in columns.items():
            place = table.schema.get_field_index(name)
            if place < 0:
                table = table.append_column(name, column)
            else:
                table = table.set_column(place, name, column)
        return ItemTable(table)

    def write(self, path: pathlib.Path) -> None:
        """Write the table as Parquet, without fields that no item has."""
        empty = [
            FIELD + name for name, column in self.fields.items() if column.null_count == len(self)
        ]
        pq.write_table(self.columns.drop_columns(empty), path, compression="zstd")

    @classmethod
    def read(cls, path: pathlib.Path, rows: int) -> "ItemTable":
        """Read what `write` wrote.

        Args:
            path: the file.
            rows: number of rows that it has to hold.

        Raises:
            StorageError: the file is damaged, or holds something else.
        """
        try:
            with pq.ParquetFile(path) as file:
                _check(file.schema_arrow, file.metadata.num_rows, rows)
                table = cls(file.read())
            if any(table.columns[name].null_count for name in ITEM_COLUMNS):
                raise ValueError("names are missing")
            return table
        except (pa.ArrowException, OSError, ValueError) as error:
            raise StorageError(f"{path} is damaged ({error}). {MEND}") from error


def _origin_columns(origins: Sequence[Origin]) -> dict[str, pa.Array]:
    if not origins:
        return {}
    columns: dict[str, pa.Array] = {}
    for name, kind in ORIGIN_COLUMNS.items():
        values = [
            getattr(origin.box, name, None) if name in BOX else getattr(origin, name)
            for origin in origins
        ]
        columns[name] = pa.array(values, kind)
    return columns


def _check(schema: pa.Schema, found: int, rows: int) -> None:
    """Refuse another number of rows before they are read, and columns that do not belong."""
    if found != rows:
        raise ValueError(f"it holds {found} rows, where the catalogue's manifest says {rows}")
    expected = {**dict.fromkeys(ITEM_COLUMNS, pa.string()), **ORIGIN_COLUMNS}
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("columns that occur twice")
    wrong = [
        name
        for name in expected
        if name not in schema.names or schema.field(name).type != expected[name]
    ]
    wrong += [
        each.name
        for each in schema
        if each.name not in expected
        and (not each.name.startswith(FIELD) or each.type not in TYPES.values())
    ]
    if wrong:
        raise ValueError(f"columns that are missing, or that it must not have: {named(wrong)}")


def product_codes(items: ItemTable) -> Int[np.ndarray, " items"]:
    """Number the products from 0, equal for photos of one product; unknown ones differ.

    Returns:
        A number for each item.
    """
    products = items.column("product").combine_chunks()
    encoded = pc.dictionary_encode(products)
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    unknown = pc.equal(products, UNKNOWN_PRODUCT).to_numpy(zero_copy_only=False)
    codes[unknown] = len(encoded.dictionary) + np.arange(unknown.sum())
    return codes


def group_codes(items: ItemTable, by: str = "product") -> Int64[np.ndarray, " items"]:
    """Number the groups of items that share a product, or a field's value.

    Args:
        items: the items.
        by: `product`, or the name of a field. Items without a value are grouped by product, and
            each item without a product is a group of its own.

    Raises:
        CatalogueError: an unknown field.
    """
    products = items.column("product")
    codes, _ = number_values(pc.if_else(pc.equal(products, UNKNOWN_PRODUCT), None, products))
    alone = codes < 0
    codes[alone] = codes.max(initial=-1) + 1 + np.arange(alone.sum())
    if by == "product":
        return codes
    own, _ = number_values(_grouping_column(items, by))
    return np.where(own < 0, own.max(initial=-1) + 1 + codes, own)


def _grouping_column(items: ItemTable, by: str) -> pa.ChunkedArray:
    """Values that make the groups; lists of texts as one text, since Arrow numbers no lists."""
    if by in ITEM_COLUMNS:
        return items.column(by)
    if by not in items.fields:
        choices = ["product", *items.fields]
        raise CatalogueError(
            f"there is no field {by!r} to group by; choose from "
            f"{', '.join(told_apart(choices))}{did_you_mean(by, choices)}"
        )
    column = items.fields[by]
    if pa.types.is_list(column.type):
        values = [value if value is None else "|".join(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(values, pa.string())])
    return column
