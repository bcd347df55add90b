"""Exchanges fields of an index's photos, such as prices and stock."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.photo_lists.columns import BOX, ListUse
from fashion_jax.datasets.photo_lists.fields import FIELD
from fashion_jax.datasets.photo_lists.photo_list import MAX_BYTES, read_photo_list
from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import read_file
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT
from fashion_jax.retrieval.catalogue.update import Facts, UpdatedIndex, update_photos
from fashion_jax.serving.new_photos import require_fields

_USE = ListUse(("photo", "product"), either=True, links=True, splits=False)
_EXCHANGED = ("category", "domain")


@at_addresses("index", must_exist=("index",))
def update_index(
    index: str | os.PathLike[str],
    feed: str | os.PathLike[str],
    *,
    types: Mapping[str, str] | None = None,
    none: Sequence[str] = (),
    missing_ok: bool = False,
    dry_run: bool = False,
) -> UpdatedIndex:
    """Exchange fields, categories and domains of photos; needs no model.

    A row counts for the photo that it names or, in a list without the column `photo`, for all
    photos of its product. Columns of the list are exchanged, where an empty cell means no value;
    all other fields stay.

    Args:
        index: folder of the index.
        feed: the list, CSV, Parquet or JSON lines.
        types: types of new fields, by name; the others keep the type that they have.
        none: words for an empty cell.
        missing_ok: skip photos and products that are not in the index.
        dry_run: change nothing.

    Raises:
        FashionJaxError: no index, an invalid list, or photos or products that are not in the
            index; nothing is changed then.
    """
    path = pathlib.Path(feed)

    def read(present: ItemTable) -> Facts:
        return _read(path, present, types or {}, none)

    return update_photos(index, read, missing_ok, dry_run)


def _read(
    path: pathlib.Path, present: ItemTable, types: Mapping[str, str], none: Sequence[str]
) -> Facts:
    changed = [name for name, kind in types.items() if present.types.get(name, kind) != kind]
    if changed:
        raise FashionJaxError(
            f"the index has other types for {named(changed)}; `fashion-jax index sync` can change "
            f"types of fields, an update cannot"
        )
    data = read_file(path, MAX_BYTES)
    listed = read_photo_list(data, str(path), _USE, types={**types, **present.types}, none=none)
    rows = listed.rows
    fields = [name for name in rows.column_names if name.startswith(FIELD)]
    require_fields(types, [name.removeprefix(FIELD) for name in fields], path)
    names = [*(name for name in listed.columns if name in _EXCHANGED), *fields]
    if not names:
        raise FashionJaxError(
            f"{path} says nothing about its photos or products: it needs columns such as price"
        )
    return Facts(_keys(rows, listed.columns, listed.box_unit), rows.select(names))


def _keys(rows: pa.Table, columns: Sequence[str], unit: str) -> pa.Table:
    keys = {}
    if "photo" in columns:
        keys["photo_id"] = rows["photo"]
    if "product" in columns:
        keys["product"] = pc.fill_null(rows["product"], UNKNOWN_PRODUCT)
    if set(BOX) <= set(columns):
        keys |= {name: rows[name] for name in BOX}
        keys["box_unit"] = pc.if_else(pc.is_valid(rows["x"]), unit, None)
    return pa.table(keys)
