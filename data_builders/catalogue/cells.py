"""From a manifest's bytes to columns of text, each row with its place in the file.

Values of a Parquet file become text as well, so that the same checks hold for both formats.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from .columns import ColumnPlaces, find_columns
from .csv_rows import CsvBlock, CsvReader
from .problems import ManifestError, ManifestProblems

_PARQUET = b"PAR1"
_OTHER_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or another zip file: export it as CSV (UTF-8)",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"\xff\xfe": "text in UTF-16: save it as UTF-8",
    b"\xfe\xff": "text in UTF-16: save it as UTF-8",
}


@dataclasses.dataclass(frozen=True)
class Cells:
    """Content of a manifest, as text.

    Attributes:
        table: known columns, without blanks around the text; null for empty cells.
        positions: position of each row in the file, from 1: the line on which it starts in a CSV
            file, the number of the row in a Parquet file.
        word: unit of the positions: `line` or `row`.
        unknown: names of columns that were not read.
    """

    table: pa.Table
    positions: Int[np.ndarray, " rows"]
    word: str
    unknown: tuple[str, ...]

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column; all null if the manifest does not have it."""
        if name in self.table.column_names:
            return self.table[name]
        return pa.chunked_array([pa.nulls(self.table.num_rows, pa.string())])

    def place(self, row: int) -> str:
        """Describe the place of a row."""
        return f"{self.word} {self.positions[row]:,}"


def read_cells(data: bytes, problems: ManifestProblems) -> Cells:
    """Read a manifest; its content tells whether it is CSV or Parquet.

    Args:
        data: content of the file.
        problems: collector of unreadable rows.

    Raises:
        ManifestError: if the file is neither CSV nor Parquet, has wrong columns, or no row.
    """
    if data.startswith(_PARQUET):
        cells = _read_parquet(data, problems.place)
    else:
        cells = _read_csv(data, problems)
    if cells.table.num_rows == 0:
        problems.raise_any()
        raise ManifestError(f"{problems.place}: no row below the names of the columns")
    return cells


def _read_parquet(data: bytes, place: str) -> Cells:
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        columns = find_columns(file.schema_arrow.names, place)
        names = [file.schema_arrow.names[each] for each in columns.places.values()]
        table = file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(f"{place}: damaged Parquet file: {error}") from error
    texts = [_as_text(table[name], name, place) for name in names]
    positions = np.arange(1, table.num_rows + 1)
    return Cells(_table(columns, texts), positions, "row", columns.unknown)


def _as_text(column: pa.ChunkedArray, name: str, place: str) -> pa.ChunkedArray:
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowException as error:
        raise ManifestError(
            f"{place}: column {name} is of type {column.type}; use texts or numbers"
        ) from error


def _read_csv(data: bytes, problems: ManifestProblems) -> Cells:
    for start, what in _OTHER_FORMATS.items():
        if data.startswith(start):
            raise ManifestError(f"{problems.place}: expected CSV or Parquet; this is {what}")
    reader = CsvReader(data, problems)
    header = reader.header()
    if not header:
        raise ManifestError(f"{problems.place}: the first line is empty; it must name the columns")
    columns = find_columns(header, problems.place)
    parts = list(_columns_of_text(reader.blocks(len(header)), columns))
    texts = [
        pa.chunked_array(chunks) for chunks in zip(*(texts for texts, _ in parts), strict=True)
    ]
    lines = np.concatenate([lines for _, lines in parts])
    return Cells(_table(columns, texts), lines, "line", columns.unknown)


def _columns_of_text(
    parts: Iterable[CsvBlock], columns: ColumnPlaces
) -> Iterator[tuple[list[pa.Array], Int[np.ndarray, " rows"]]]:
    """Turn rows into columns while they are still few."""
    for rows, lines in parts:
        cells = list(zip(*rows, strict=True)) if rows else [()] * (max(columns.places.values()) + 1)
        yield [pa.array(cells[place], pa.string()) for place in columns.places.values()], lines


def _table(columns: ColumnPlaces, texts: Sequence[pa.ChunkedArray]) -> pa.Table:
    cleaned = [_clean(text) for text in texts]
    return pa.table(dict(zip(columns.places, cleaned, strict=True)))


def _clean(column: pa.ChunkedArray) -> pa.ChunkedArray:
    trimmed = pc.utf8_trim_whitespace(column)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)
