"""The further columns of a list, as typed fields.

The cells of a CSV file are text until all of a column's cells are known to be something else that
keeps all of their digits: `00123` and numbers of 16 digits stay text. Parquet and JSON lines say
the type of their values themselves.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.fields import TYPES, type_name
from fashion_jax.datasets.photo_lists.problems import PhotoListError, RowProblems
from fashion_jax.datasets.photo_lists.products import MISSING, ROUNDED

_NUMBER = r"^-?((0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?|\.[0-9]{1,15})$"
_ANY_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$"
_DECIMAL_COMMA = r"^[+-]?[0-9]+,[0-9]+$"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$"
)
_ZONE = r"(Z|[+-][0-9]{2}:?[0-9]{2})$"
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


class FieldReader:
    """Gives the further columns of a list their types.

    Args:
        problems: collector of cells that are not of their column's type.
        place: function that describes the place of a row.
        types: types that fields must have, by name; others follow from their values.
        untyped: whether the list's format has text alone, as CSV has.
    """

    def __init__(
        self,
        problems: RowProblems,
        place: Callable[[int], str],
        types: Mapping[str, str],
        untyped: bool,
    ):
        self._problems = problems
        self._place = place
        self._types = types
        self._untyped = untyped

    def read(self, columns: pa.Table) -> pa.Table:
        """Return the typed columns; those without any value and without a given type are left out.

        Raises:
            PhotoListError: a column of a type that no field can have.
        """
        typed = {name: self._column(name, columns[name]) for name in columns.column_names}
        return pa.table({name: column for name, column in typed.items() if column is not None})

    def _column(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray | None:
        wanted = self._types.get(name)
        if column.null_count == len(column):
            return None if wanted is None else pa.chunked_array([_nulls(len(column), wanted)])
        if not pa.types.is_string(column.type):
            return self._native(name, column, wanted)
        if wanted is not None:
            return self._parsed(name, column, wanted)
        if self._untyped:
            return self._recognised(name, column)
        return self._parsed(name, column, "time" if _all_match(column, _TIME) else "text")

    def _recognised(self, name: str, text: pa.ChunkedArray) -> pa.ChunkedArray:
        """Columns of CSV: the first type that every cell has."""
        self._refuse_spoiled(name, text)
        words = pc.utf8_lower(text)
        if _all_in(words, ("true", "false")):
            return self._parsed(name, text, "boolean")
        if _all_match(text, _NUMBER):
            return self._parsed(name, text, "number")
        if _all_match(text, _TIME):
            return self._parsed(name, text, "time")
        if _all_match(text, r"^\[.*\]$"):
            return self._parsed(name, text, "texts")
        return text

    def _refuse_spoiled(self, name: str, text: pa.ChunkedArray) -> None:
        """Refuse what a spreadsheet rounded, and words for nothing among numbers or times."""
        rounded = pc.match_substring_regex(text, ROUNDED)
        self._refuse(
            f"{name} was rounded by a spreadsheet: format the column as text, and export it again "
            f"(or say that it is a number: --types {name}=number)",
            rounded,
            text,
        )
        missing = pc.is_in(pc.utf8_lower(text), value_set=pa.array(sorted(MISSING)))
        rest = text.filter(pc.fill_null(pc.invert(missing), False))
        if len(rest) and any(_all_match(rest, form) for form in (_NUMBER, _TIME)):
            self._refuse(
                f"{name} has words among its numbers or times: name those that mean an empty cell "
                "(--none WORD), or keep it as text "
                f"(--types {name}=text)",
                missing,
                text,
            )

    def _parsed(self, name: str, text: pa.ChunkedArray, wanted: str) -> pa.ChunkedArray:
        """Texts as values of a type; others are a problem."""
        parsed, wrong = _PARSERS[wanted](text)
        comma = (
            wanted == "number" and pc.any(pc.match_substring_regex(text, _DECIMAL_COMMA)).as_py()
        )
        hint = ", with a decimal point" if comma else _FORMS[wanted]
        self._refuse(f"{name} must be {_CALLED[wanted]}{hint}", wrong, text)
        return parsed

    def _native(self, name: str, column: pa.ChunkedArray, wanted: str | None) -> pa.ChunkedArray:
        """Columns of Parquet and JSON lines that have a type of their own."""
        typed = _from_arrow(column)
        if typed is None:
            raise PhotoListError(
                f"{self._problems.place}: column {name} is of type {column.type}; a field is text, "
                "a number, true or false, a time, or a list of texts. Leave it out, or convert it"
            )
        if wanted in (None, type_name(typed.type)):
            return typed
        if wanted == "text" and not pa.types.is_list(typed.type):
            return pc.cast(typed if pa.types.is_floating(typed.type) else column, pa.string())
        raise PhotoListError(
            f"{self._problems.place}: column {name} is {_CALLED[type_name(typed.type)]}, but must "
            f"be {_CALLED[wanted]}"
        )

    def _refuse(self, what: str, wrong: pa.ChunkedArray, text: pa.ChunkedArray) -> None:
        rows = np.flatnonzero(pc.fill_null(wrong, False).to_numpy())
        self._problems.add(
            what, rows, lambda row: f"{self._place(row)}: {short(text[row].as_py())}"
        )


def _nulls(count: int, kind: str) -> pa.Array:
    return pa.nulls(count, TYPES[kind])


def _all_match(text: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(text, pattern), min_count=0).as_py())


def _all_in(text: pa.ChunkedArray, words: Sequence[str]) -> bool:
    return bool(pc.all(pc.is_in(text.drop_null(), value_set=pa.array(words)), min_count=0).as_py())


Parsed = tuple[pa.ChunkedArray, pa.ChunkedArray]  # values, and where a cell is none


def _text(text: pa.ChunkedArray) -> Parsed:
    return text, pa.chunked_array([pa.array(np.zeros(len(text), bool))])


def _numbers(text: pa.ChunkedArray) -> Parsed:
    right = pc.match_substring_regex(text, _ANY_NUMBER)
    values = pc.cast(pc.if_else(right, text, None), pa.float64())
    finite = pc.and_kleene(right, pc.is_finite(values))
    return pc.if_else(finite, values, None), pc.and_(pc.is_valid(text), pc.invert(finite))


def _booleans(text: pa.ChunkedArray) -> Parsed:
    words = pc.utf8_lower(text)
    yes, no = (pc.is_in(words, value_set=pa.array(each)) for each in (_YES, _NO))
    known = pc.or_(yes, no)
    return pc.if_else(known, yes, None), pc.and_(pc.is_valid(text), pc.invert(known))


def _times(text: pa.ChunkedArray) -> Parsed:
    right = pc.match_substring_regex(text, _TIME)
    zoned = pc.match_substring_regex(pc.utf8_slice_codeunits(text, 10), _ZONE)
    dates = pc.equal(pc.utf8_length(text), 10)
    padded = pc.if_else(dates, pc.binary_join_element_wise(text, "T00:00Z", ""), text)
    local = pc.and_(pc.invert(zoned), pc.invert(dates))
    padded = pc.if_else(local, pc.binary_join_element_wise(padded, "Z", ""), padded)
    texts = pc.if_else(right, padded, None).to_pylist()
    values = pa.chunked_array([pa.array(list(map(_time_of, texts)), TYPES["time"])])
    return values, pc.and_(pc.is_valid(text), pc.is_null(values))


def _time_of(text: str | None) -> datetime.datetime | None:
    """A time, or `None` for none and for days that no calendar has."""
    try:
        return None if text is None else datetime.datetime.fromisoformat(text)
    except ValueError:
        return None


def _lists(text: pa.ChunkedArray) -> Parsed:
    cells = text.to_pylist()
    values = [None if cell is None else _texts_of(cell) for cell in cells]
    wrong = [cell is not None and value is None for cell, value in zip(cells, values, strict=True)]
    return pa.chunked_array([pa.array(values, TYPES["texts"])]), pa.chunked_array([wrong])


def _texts_of(cell: str) -> list[str] | None:
    if not cell.startswith("["):
        return [part for each in cell.split("|") if (part := each.strip())]
    try:
        return msgspec.json.decode(cell, type=list[str])
    except (msgspec.DecodeError, UnicodeError):
        return None


_PARSERS: Mapping[str, Callable[[pa.ChunkedArray], Parsed]] = {
    "text": _text,
    "number": _numbers,
    "boolean": _booleans,
    "time": _times,
    "texts": _lists,
}
_CALLED = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "time": "a time",
    "texts": "a list of texts",
}
_FORMS = {
    "text": "",
    "number": "",
    "boolean": " (or yes, no, 1, 0)",
    "time": ", such as 2026-11-27 or 2026-11-27T08:30:00Z",
    "texts": ', such as S|M|L or ["S","M"]',
}


def _from_arrow(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A typed column as a field's; `None` if no field can have its values."""
    kind, types = column.type, pa.types
    if types.is_boolean(kind):
        return column
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return _from_numbers(column)
    if types.is_timestamp(kind) or types.is_date(kind):
        naive = types.is_date(kind) or kind.tz is None
        precise = pc.cast(column, pa.timestamp("us", None if naive else kind.tz), safe=False)
        return pc.assume_timezone(precise, "UTC") if naive else pc.cast(precise, TYPES["time"])
    if types.is_list(kind) or types.is_large_list(kind):
        of_texts = types.is_string(kind.value_type) or types.is_large_string(kind.value_type)
        return pc.cast(column, TYPES["texts"]) if of_texts else None
    return None


def _from_numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Numbers, without NaN, which pandas writes for none; as text where float64 loses digits."""
    if pa.types.is_integer(column.type):
        text = pc.cast(column, pa.string())
        longest = pc.max(pc.utf8_length(text)).as_py() or 0
        return text if longest > 15 else pc.cast(column, pa.float64())
    # Through text: the float32 49.9 is 49.9, not 49.900001525878906.
    exact = column if column.type == pa.float64() else pc.cast(column, pa.string())
    numbers = pc.cast(exact, pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, None)
