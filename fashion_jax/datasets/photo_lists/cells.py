"""From a list's bytes to columns, each row with its place in the file.

Known columns of Parquet files and JSON lines become text, as those of CSV are, so that the same
checks hold for all formats.
"""

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.columns import ColumnPlaces, ListUse, find_columns
from fashion_jax.datasets.photo_lists.csv_rows import CsvBlock, CsvReader
from fashion_jax.datasets.photo_lists.fields import FieldTypeError, field_column, plain_value
from fashion_jax.datasets.photo_lists.problems import PhotoListError, RowProblems
from fashion_jax.strict_json import JsonError, decode

MAX_ROWS = 20_000_000
MAX_TEXT = 2**31
"""Most characters of all cells of one column: some kilobytes of Parquet can stand for more."""

_PARQUET = b"PAR1"
_JSON_START = re.compile(rb"(\xef\xbb\xbf)?\s*\{")
# Blanks without width, which spreadsheets and web pages leave in cells; and the soft hyphen.
_INVISIBLE = "[\u00ad\u200b\u2060\ufeff]"
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip file: export it as CSV (UTF-8)",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
}


@dataclasses.dataclass(frozen=True)
class Cells:
    """Content of a list, as text.

    Attributes:
        table: known columns, without blanks around the text; null for empty cells.
        further: all other columns, by their names: text without blanks around it, or values of the
            list's own type.
        untyped: whether the further columns are text whatever they mean, as in CSV.
        positions: position of each row in the file, from 1: the line on which it starts in a CSV
            file, the number of the row in a Parquet file.
        word: unit of the positions: `line` or `row`.
        columns: names of the columns in the file.
    """

    table: pa.Table
    further: pa.Table
    untyped: bool
    positions: Int[np.ndarray, " rows"]
    word: str
    columns: ColumnPlaces

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column; all null if the list does not have it."""
        if name in self.table.column_names:
            return self.table[name]
        return pa.chunked_array([pa.nulls(self.table.num_rows, pa.string())])

    def spelled(self, name: str) -> str:
        """Return the list's own name of a column."""
        return self.columns.spelled.get(name, name)

    def place(self, row: int) -> str:
        """Describe the place of a row."""
        return f"{self.word} {self.positions[row]:,}"


FindColumns = Callable[[Sequence[str]], ColumnPlaces]


def read_cells(data: bytes, problems: RowProblems, use: ListUse, none: Sequence[str] = ()) -> Cells:
    """Read a list; its content tells whether it is CSV, Parquet or JSON lines.

    Args:
        data: content of the file.
        problems: collector of unreadable rows.
        use: demands on the list.
        none: words for an empty cell, in upper or lower case.

    Raises:
        PhotoListError: if the file has none of these formats, wrong columns, no row, or more than
            `MAX_ROWS`.
    """
    find = functools.partial(find_columns, place=problems.place, use=use)
    if data.startswith(_PARQUET):
        cells = _read_parquet(data, problems.place, find)
    elif _JSON_START.match(data):
        cells = _read_json_lines(data, problems, find)
    else:
        cells = _read_csv(data, problems, find)
    if cells.table.num_rows == 0:
        problems.raise_any()
        raise PhotoListError(f"{problems.place}: no row below the names of the columns")
    return dataclasses.replace(
        cells, table=_cleaned(cells.table, none), further=_cleaned(cells.further, none)
    )


def _read_parquet(data: bytes, place: str, find: FindColumns) -> Cells:
    try:
        schema = pq.read_schema(pa.BufferReader(data))
        columns = find(schema.names)
        names = [schema.names[each] for each in columns.places.values()]
        further = [schema.names[each] for each in columns.further.values()]
        # As dictionaries: a repeated text takes its memory once, until its length is known.
        texts = [name for name in (*names, *further) if pa.types.is_string(schema.field(name).type)]
        file = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts)
        _check_rows(file.metadata.num_rows, place)
        table = file.read(columns=[*names, *further])
        cells = [_as_text(table[name], name, place) for name in names]
        known = pa.table(dict(zip(columns.places, cells, strict=True)))
        others = [_undictionaried(table[name], name, place) for name in further]
        fields = pa.table(dict(zip(columns.further, others, strict=True)))
        positions = np.arange(1, table.num_rows + 1)
        return Cells(known, fields, False, positions, "row", columns)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PhotoListError(f"{place}: damaged Parquet file: {error}") from error


def _undictionaried(column: pa.ChunkedArray, name: str, place: str) -> pa.ChunkedArray:
    """Texts as plain ones; all other columns as they are."""
    if pa.types.is_dictionary(column.type):
        _check_length(column, name, place)
        column = pc.cast(column, column.type.value_type)
    return pc.cast(column, pa.string()) if pa.types.is_large_string(column.type) else column


def _read_json_lines(data: bytes, problems: RowProblems, find: FindColumns) -> Cells:
    rows, lines, damaged = [], [], {}
    for line, text in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            row = decode(text)
            if not isinstance(row, dict):
                raise JsonError("a line has to be an object")
            rows.append(row)
            lines.append(line)
        except JsonError as error:
            damaged[line] = str(error)
    problems.add("damaged JSON", list(damaged), lambda line: f"line {line:,}: {damaged[line]}")
    if not rows:
        problems.raise_any()
    _check_rows(len(rows), problems.place)
    header = list(dict.fromkeys(name for row in rows for name in row))
    columns = find(header)
    positions = np.array(lines, np.int64)

    def column(place: int, of: Callable[[list[Any]], pa.Array]) -> pa.ChunkedArray:
        name = header[place]
        try:
            return pa.chunked_array([of([row.get(name) for row in rows])])
        except (FieldTypeError, TypeError) as error:
            raise PhotoListError(f"{problems.place}: column {name}: {error}") from error

    known = {name: column(place, _texts) for name, place in columns.places.items()}
    further = {
        name: column(place, functools.partial(field_column, name))
        for name, place in columns.further.items()
    }
    return Cells(pa.table(known), pa.table(further), False, positions, "line", columns)


def _texts(values: list[Any]) -> pa.Array:
    """Texts and numbers of JSON as text."""
    wrong = next((v for v in values if isinstance(v, bool | list | dict)), None)
    if wrong is not None:
        raise TypeError(f"has to be text or a number, not {short(wrong)}")
    texts = [None if value is None else str(plain_value(value)) for value in values]
    return pa.array(texts, pa.string())


def _check_rows(rows: int, place: str) -> None:
    if rows > MAX_ROWS:
        raise PhotoListError(
            f"{place}: {rows:,} rows; the limit is {MAX_ROWS:,}: divide the list into several"
        )


def _as_text(column: pa.ChunkedArray, name: str, place: str) -> pa.ChunkedArray:
    if pa.types.is_floating(column.type):
        column = _whole_numbers(column, name, place)
    if pa.types.is_dictionary(column.type):
        _check_length(column, name, place)
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowException as error:
        raise PhotoListError(
            f"{place}: column {name} is of type {column.type}; use texts or numbers"
        ) from error


def _whole_numbers(column: pa.ChunkedArray, name: str, place: str) -> pa.ChunkedArray:
    """Whole numbers, which pandas stores as decimal ones in a column with gaps."""
    known = pc.drop_null(column)
    if not pc.all(pc.equal(pc.floor(known), known), min_count=0).as_py():
        return column
    if pc.any(pc.greater(pc.abs(known), 2.0**53), min_count=0).as_py():
        raise PhotoListError(
            f"{place}: column {name} has decimal numbers above 2^53, which lost digits: write it "
            "as text"
        )
    return pc.cast(column, pa.int64())


def _check_length(column: pa.ChunkedArray, name: str, place: str) -> None:
    length = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(pc.cast(chunk.dictionary, pa.string()))
        length += pc.sum(pc.take(lengths, chunk.indices), min_count=0).as_py() or 0
    if length > MAX_TEXT:
        raise PhotoListError(
            f"{place}: column {name} has {length:,} characters; the limit is {MAX_TEXT:,}"
        )


def _read_csv(data: bytes, problems: RowProblems, find: FindColumns) -> Cells:
    for start, what in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise PhotoListError(
                f"{problems.place}: expected CSV, Parquet or JSON lines; this is {what}"
            )
    reader = CsvReader(data, problems)
    header = reader.header()
    if not header:
        raise PhotoListError(f"{problems.place}: the first line is empty; it must name the columns")
    columns = find(header)
    places = [*columns.places.values(), *columns.further.values()]
    parts = list(_columns_of_text(reader.blocks(len(header)), places, problems.place))
    texts = [
        pa.chunked_array(chunks) for chunks in zip(*(texts for texts, _ in parts), strict=True)
    ]
    lines = np.concatenate([lines for _, lines in parts])
    known = pa.table(dict(zip(columns.places, texts, strict=False)))
    further = pa.table(dict(zip(columns.further, texts[len(columns.places) :], strict=True)))
    return Cells(known, further, True, lines, "line", columns)


def _columns_of_text(
    parts: Iterable[CsvBlock], places: Sequence[int], where: str
) -> Iterator[tuple[list[pa.Array], Int[np.ndarray, " rows"]]]:
    """Turn rows into columns while they are still few."""
    count = 0
    for rows, lines in parts:
        count += len(rows)
        _check_rows(count, where)
        cells = list(zip(*rows, strict=True)) if rows else [()] * (max(places) + 1)
        yield [pa.array(cells[place], pa.string()) for place in places], lines


def _cleaned(table: pa.Table, none: Sequence[str]) -> pa.Table:
    """Clean the columns of text."""
    words = pa.array([word.lower() for word in none], pa.string())

    def clean(column: pa.ChunkedArray) -> pa.ChunkedArray:
        if not pa.types.is_string(column.type):
            return column
        text = _clean(column)
        return pc.if_else(pc.is_in(pc.utf8_lower(text), words), None, text) if none else text

    return pa.table({name: clean(table[name]) for name in table.column_names})


def _clean(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without blanks around them, in Unicode's composed form; null for empty ones."""
    visible = pc.replace_substring_regex(_composed(column), _INVISIBLE, "")
    trimmed = pc.utf8_trim_whitespace(visible)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _composed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts in the form NFC; Arrow's own function decomposes them in some of its versions."""
    odd = pc.fill_null(pc.invert(pc.string_is_ascii(column)), False)
    if not pc.any(odd).as_py():
        return column
    texts = [unicodedata.normalize("NFC", text) for text in column.filter(odd).to_pylist()]
    replaced = pc.replace_with_mask(
        column.combine_chunks(), odd.combine_chunks(), pa.array(texts, pa.string())
    )
    return pa.chunked_array([replaced])
