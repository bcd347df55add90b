"""Rows of a CSV file, thousands at a time, each with the line on which it starts."""

import csv
import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.problems import SHOWN, PhotoListError, RowProblems

_ROWS_AT_ONCE = 2**15
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?$', re.IGNORECASE)  # a line that Excel reads and writes


class CsvBlock(NamedTuple):
    """Some rows of a CSV file.

    Attributes:
        rows: cells of each row, as many as in the header.
        lines: line on which each row starts, from 1, as an editor counts.
    """

    rows: list[list[str]]
    lines: Int[np.ndarray, " rows"]


class CsvReader:
    """Reader of a CSV file; malformed rows become problems.

    Cells are separated by commas, or by semicolons or tabs if the header has those, as some
    spreadsheets write.

    Args:
        data: content of the file, in UTF-8.
        problems: collector of malformed rows.
    """

    def __init__(self, data: bytes, problems: RowProblems):
        self._data = data
        self._problems = problems
        text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
        first_line = re.split(rb"\r\n?|\n", data, maxsplit=1)[0].decode("utf-8-sig", "replace")
        told = _SEPARATOR.match(first_line)
        delimiter = told[1] if told else max(",;\t", key=first_line.count)
        self._reader = csv.reader(text, delimiter=delimiter, strict=True)
        if told:
            self._take(1)
        self._malformed: dict[int, str] = {}
        self._ragged: dict[int, str] = {}

    def header(self) -> list[str]:
        """Read the first row; empty for an empty file.

        Raises:
            PhotoListError: if it is malformed.
        """
        rows, error = self._take(1)
        if error:
            raise PhotoListError(f"{self._problems.place}, line 1: {_explained(error)}")
        return rows[0] if rows else []

    def blocks(self, width: int) -> Iterator[CsvBlock]:
        """Read all other rows, except empty ones and rows without exactly `width` cells."""
        more = True
        while more:
            before = self._reader.line_num
            rows, error = self._take(_ROWS_AT_ONCE)
            lines = self._lines(rows, before, exact=error is not None)
            if error is not None:
                self._malformed[int(lines[-1])] = _explained(error)
            more = len(rows) == _ROWS_AT_ONCE or (error is not None and "limit" not in error)
            yield self._whole(rows, lines, width)
        self._report(width)

    def _take(self, count: int) -> tuple[list[list[str]], str | None]:
        """Read up to `count` rows; fewer before a malformed one, which is skipped."""
        rows: list[list[str]] = []
        try:
            rows.extend(itertools.islice(self._reader, count))  # keeps those before an error
        except csv.Error as error:
            return rows, str(error)
        except UnicodeDecodeError:
            raise _not_utf8(self._data, self._problems.place) from None
        return rows, None

    def _lines(
        self, rows: Sequence[Sequence[str]], before: int, exact: bool
    ) -> Int[np.ndarray, " rows_and_next"]:
        """Compute the lines on which the rows and the next one start."""
        if not exact and self._reader.line_num - before == len(rows):
            return before + 1 + np.arange(len(rows) + 1)
        taken = [1 + sum(map(_line_breaks, row)) for row in rows]
        return before + 1 + np.cumsum([0, *taken])

    def _whole(self, rows: list[list[str]], lines: np.ndarray, width: int) -> CsvBlock:
        """Keep the rows of the right width."""
        wrong = [number for number, row in enumerate(rows) if len(row) != width or not any(row)]
        if not wrong:
            return CsvBlock(rows, lines[:-1])
        for number in wrong:
            if any(rows[number]):  # below a table, spreadsheets write rows of empty cells
                shown = len(self._ragged) < SHOWN
                self._ragged[int(lines[number])] = _cells(rows[number]) if shown else ""
        kept = np.setdiff1d(np.arange(len(rows)), wrong)
        return CsvBlock([rows[number] for number in kept.tolist()], lines[kept])

    def _report(self, width: int) -> None:
        self._add("quotation marks that do not match", self._malformed)
        self._add(f"not as many cells as there are columns ({width})", self._ragged)

    def _add(self, what: str, found: Mapping[int, str]) -> None:
        self._problems.add(what, list(found), lambda line: f"line {line:,}: {found[line]}")


def _line_breaks(cell: str) -> int:
    return cell.count("\n") + cell.count("\r") - cell.count("\r\n")


def _cells(row: Sequence[str]) -> str:
    return f"{len(row)} cell{'' if len(row) == 1 else 's'}, {short(row)}"


def _explained(error: str) -> str:
    if "limit" in error or "end of data" in error:
        return "a quotation mark opened in this row is never closed; the rest is not read"
    return f"{error}; write a quotation mark inside a quoted cell twice"


def _not_utf8(data: bytes, place: str) -> PhotoListError:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        content = data.splitlines()[line - 1]
        return PhotoListError(
            f"{place}, line {line:,}: not UTF-8: {short(content)}; save the file as UTF-8"
        )
    return PhotoListError(f"{place}: not UTF-8; save the file as UTF-8")
