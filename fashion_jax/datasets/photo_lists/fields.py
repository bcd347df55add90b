"""Fields: what a list says about products and photos beyond its known columns.

A field is text, a number, a boolean, a time (in UTC) or a list of texts.
"""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool

from fashion_jax.errors import FashionJaxError

FieldValue = str | int | float | bool | datetime.datetime | Sequence[str]

TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "time": pa.timestamp("us", "UTC"),
    "texts": pa.list_(pa.string()),
}
"""Arrow types of fields, by name."""

FIELD = "field:"
"""Start of the names of columns that hold fields, in tables beside columns of a known meaning."""

EXACT = 2.0**53
"""Whole numbers above it lose digits as float64."""


class FieldTypeError(FashionJaxError):
    """A type of a field that does not exist, or that its values do not have."""


def type_name(column: pa.DataType) -> str:
    """Return the name of a field's Arrow type."""
    return next(name for name, known in TYPES.items() if known == column)


def parse_types(text: str) -> dict[str, str]:
    """Parse types of fields, such as `price=number,ean=text`.

    Raises:
        FieldTypeError: anything else, or an unknown type.
    """
    types = {}
    for part in filter(None, text.split(",")):
        name, equals, kind = (each.strip() for each in part.partition("="))
        if not name or not equals or kind not in TYPES:
            raise FieldTypeError(
                f"{part!r} is not NAME=TYPE with a type among {', '.join(TYPES)}, such as "
                "price=number"
            )
        types[name] = kind
    return types


def plain_value(value: Any) -> Any:
    """Return a field's value as people and JSON write it: whole numbers without `.0`, ISO times."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else value
    if isinstance(value, datetime.datetime):
        text = value.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")
        return text.removesuffix("T00:00:00Z")
    return value


def field_text(value: Any) -> str:
    """Return a field's value in a line for people."""
    if isinstance(value, bool):
        return "true" if value else "false"
    plain = plain_value(value)
    return "|".join(plain) if isinstance(plain, list) else str(plain)


def field_column(name: str, values: Sequence[Any]) -> pa.Array:
    """Encode a field's Python values; `None` for none.

    Raises:
        FieldTypeError: values of several types, or of a type that no field has.
    """
    known = [value for value in values if value is not None]
    kinds = {_kind_of(value) for value in known}
    if len(kinds) > 1 or "" in kinds:
        found = sorted({type(value).__name__ for value in known})
        raise FieldTypeError(
            f"the field {name!r} has values of the types {', '.join(found)}; a field is one of "
            f"{', '.join(TYPES)}"
        )
    kind = kinds.pop() if kinds else "text"
    if any(isinstance(value, int) and abs(value) > EXACT for value in known):
        raise FieldTypeError(
            f"the field {name!r} has whole numbers above 2^53, which lose digits: make them text"
        )
    if kind == "time":
        known_utc = [None if v is None else _utc(v) for v in values]
        return pa.array(known_utc, TYPES[kind])
    try:
        return pa.array(values, TYPES[kind])
    except (pa.ArrowException, UnicodeError, OverflowError) as error:
        raise FieldTypeError(f"the field {name!r} cannot be stored: {error}") from error


def _utc(value: datetime.datetime) -> datetime.datetime:
    return value if value.tzinfo else value.replace(tzinfo=datetime.UTC)


def _kind_of(value: object) -> str:
    """Name of a value's type; empty if no field has it."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | np.number):
        return "number"
    if isinstance(value, str):
        return "text"
    if isinstance(value, datetime.datetime):
        return "time"
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return "texts"
    return ""


def differing(
    first: pa.ChunkedArray | None, second: pa.ChunkedArray | None
) -> Bool[np.ndarray, " rows"]:
    """Whether values of two columns differ, row by row; nulls are equal.

    Args:
        first: a column; `None` for one without values.
        second: a column of the same length.

    Columns of different types differ wherever one has a value.
    """
    if first is None or second is None or first.type != second.type:
        valid = [pc.is_valid(column) for column in (first, second) if column is not None]
        return (pc.or_(*valid) if len(valid) > 1 else valid[0]).to_numpy()
    if pa.types.is_list(first.type):
        return _differing_lists(first, second)
    valid = pc.xor(pc.is_valid(first), pc.is_valid(second))
    unequal = pc.fill_null(pc.not_equal(first, second), False)
    return pc.or_(valid, unequal).to_numpy()


def _differing_lists(first: pa.ChunkedArray, second: pa.ChunkedArray) -> Bool[np.ndarray, " rows"]:
    differ = differing(pc.list_value_length(first), pc.list_value_length(second))
    same = np.flatnonzero(~differ)
    rows = pa.array(same)
    lengths = pc.fill_null(pc.list_value_length(first.take(rows)), 0).to_numpy()
    parts: Sequence[pa.ChunkedArray] = [
        pc.list_flatten(each.take(rows)) for each in (first, second)
    ]
    unequal = differing(*parts)
    differ[same[np.repeat(np.arange(len(same)), lengths)[unequal]]] = True
    return differ
