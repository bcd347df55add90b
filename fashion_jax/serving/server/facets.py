"""Filters that a catalogue's fields offer: choices and ranges."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.datasets.photo_lists.fields import plain_value
from fashion_jax.retrieval.catalogue.item_table import ItemTable

MOST_CHOICES = 24


@dataclasses.dataclass(frozen=True)
class Facet:
    """A filter.

    Attributes:
        field: name of the field, or `category`.
        kind: `choices`, `number`, `time` or `boolean`.
        choices: values with their numbers of photos, most frequent first.
        least: smallest value of a range.
        most: largest value of a range.
    """

    field: str
    kind: str
    choices: Sequence[tuple[str, int]] = ()
    least: Any = None
    most: Any = None


def find_facets(items: ItemTable) -> list[Facet]:
    """Return the filters of a catalogue, in the order of its fields.

    A field without two different values has no filter, nor has a text with more than
    `MOST_CHOICES`.
    """
    columns = {"category": items.column("category"), **items.fields}
    found = [_facet(name, column) for name, column in columns.items()]
    return [facet for facet in found if facet is not None]


def _facet(name: str, column: pa.ChunkedArray) -> Facet | None:
    kind = column.type
    if pa.types.is_boolean(kind):
        return Facet(name, "boolean") if len(pc.unique(column.drop_null())) == 2 else None
    if pa.types.is_floating(kind) or pa.types.is_timestamp(kind):
        ends = pc.min_max(column).as_py()
        if ends["min"] is None or ends["min"] == ends["max"]:
            return None
        least, most = (_plain(ends[end]) for end in ("min", "max"))
        return Facet(name, "number" if pa.types.is_floating(kind) else "time", (), least, most)
    values = pc.list_flatten(column) if pa.types.is_list(kind) else column
    counts = pc.value_counts(values.drop_null()).to_pylist()
    choices = [(each["values"], each["counts"]) for each in counts if each["values"]]
    if not 2 <= len(choices) <= MOST_CHOICES:
        return None
    return Facet(name, "choices", sorted(choices, key=lambda choice: (-choice[1], choice[0])))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value.date().isoformat()
    return plain_value(value)
