"""Items in columns: what goes in comes out, on the disk and in memory."""

import datetime

import numpy as np
import pytest

from fashion_jax.datasets.boxes import Box
from fashion_jax.files import StorageError
from fashion_jax.retrieval.catalogue import CatalogueError, Item, ItemTable, Origin

TIME = datetime.datetime(2026, 11, 27, 8, tzinfo=datetime.UTC)
ITEMS = [
    Item("a é\u2028.jpg", "00123", "hats", "shop", {"price": 9.5, "sizes": ["S", "M"]}),
    Item("b", "", "hats", "street", {"sold": True, "since": TIME, "colour": "red"}),
    Item("b", "7", "tops", "street"),
]
ORIGINS = [
    Origin("/photos/a.jpg", Box(0.1, 0.2, 0.3, 0.4), "fraction", "ab" * 32, 17, 2**60),
    Origin("/photos/b.jpg"),
    Origin(),
]


def test_what_goes_in_comes_out(tmp_path):
    table = ItemTable.of(ITEMS, ORIGINS)
    table.write(tmp_path / "items.parquet")
    for each in (table, ItemTable.read(tmp_path / "items.parquet", 3)):
        assert list(each) == ITEMS
        assert [each.origin(row) for row in range(3)] == ORIGINS
        assert each.types == {"price": "number", "sizes": "texts", "sold": "boolean",
                              "since": "time", "colour": "text"}  # fmt: skip


def test_rows_are_taken_as_from_a_list():
    table = ItemTable.of(ITEMS)
    assert (table[-1], table[np.int32(0)]) == (ITEMS[2], ITEMS[0])
    assert list(table[1:]) == ITEMS[1:]
    assert list(table.take([2, 0])) == [ITEMS[2], ITEMS[0]]
    assert ItemTable.of(table) is table
    with pytest.raises(IndexError, match="row 3 is out of range for 3 items"):
        table[3]


def test_tables_with_other_fields_are_joined():
    joined = ItemTable.concat([ItemTable.of(ITEMS[:1]), ItemTable.of(ITEMS[1:], ORIGINS[1:])])
    assert list(joined) == ITEMS
    assert joined.origin(1) == ORIGINS[1]
    assert list(ItemTable.concat([])) == []


def test_fields_that_no_item_has_are_not_stored(tmp_path):
    ItemTable.of(ITEMS).take([2]).write(tmp_path / "items.parquet")
    assert ItemTable.read(tmp_path / "items.parquet", 1).types == {}


def test_a_field_has_one_type():
    other = ItemTable.of([Item("c", "", "", "", {"price": "cheap"})])
    with pytest.raises(CatalogueError, match="do not fit together"):
        ItemTable.concat([ItemTable.of(ITEMS), other])


def test_text_that_is_no_unicode_is_refused():
    with pytest.raises(CatalogueError, match="Rename it"):
        ItemTable.of([Item("\ud800", "", "", "")])


def test_another_number_of_rows_is_damage(tmp_path):
    ItemTable.of(ITEMS).write(tmp_path / "items.parquet")
    with pytest.raises(StorageError, match="holds 3 rows, where the catalogue's manifest says 2"):
        ItemTable.read(tmp_path / "items.parquet", 2)


def test_json_of_an_item():
    assert ITEMS[1].to_json() == {
        **{"photo_id": "b", "product": "", "category": "hats", "domain": "street"},
        "fields": {"sold": True, "since": "2026-11-27T08:00:00Z", "colour": "red"},
    }
