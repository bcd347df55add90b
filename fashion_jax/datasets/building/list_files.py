"""Lists that come with raw datasets: all their problems are raised at once.

DeepFashion's lists have their own format: the number of rows, the names of the columns, then the
rows, with blanks between the columns.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeGuard, TypeVar

from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean

_SHOWN = 10
_LARGEST_PIXEL = 1e9  # far beyond any photo, and sums of such numbers stay exact

RowType = TypeVar("RowType")


class ListError(FashionJaxError):
    """Lists with invalid rows."""


class RowError(Exception):
    """A problem in one row."""


@dataclasses.dataclass(frozen=True)
class Table(Generic[RowType]):
    """Content of a list.

    Attributes:
        rows: valid rows, in the order of the list.
        announced: number of rows that the list itself states.
    """

    rows: list[RowType]
    announced: int


class ListProblems:
    """Collector of the problems in a dataset's lists.

    Args:
        what: name of the lists, such as `Street2Shop's lists`.
    """

    def __init__(self, what: str):
        self._what = what
        self._found: list[str] = []

    def add(self, place: str, problem: object) -> None:
        """Add a problem and its place."""
        self._found.append(f"{place}: {problem}")

    def raise_any(self) -> None:
        """Raise an error if the lists have problems.

        Raises:
            ListError: if any were added; with their number, and the first of them.
        """
        if not self._found:
            return
        count = len(self._found)
        more = f"\n  … and {count - _SHOWN:,} more" if count > _SHOWN else ""
        raise ListError(
            f"{count:,} problem(s) in {self._what}; first ones:\n  "
            + "\n  ".join(self._found[:_SHOWN])
            + more
        )


def read_table(
    path: pathlib.Path,
    columns: Sequence[str],
    parse: Callable[[Sequence[str]], RowType],
    problems: ListProblems,
) -> Table[RowType]:
    """Read a list in DeepFashion's format.

    Args:
        path: file of the list.
        columns: names that its second line must have.
        parse: function that makes a row of its fields, one per column, or raises a `RowError`.
        problems: collector of everything invalid.

    Returns:
        The valid rows.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        problems.add(str(path), f"cannot be read: {error}")
        return Table([], 0)
    first = lines[0] if lines else ""
    announced = whole_number(first)
    if announced is None:
        found = short(first.strip())
        problems.add(f"{path}, line 1", f"the number of rows was expected, not {found}")
    header = lines[1].split() if len(lines) > 1 else []
    if header != list(columns):
        wanted = " ".join(columns)
        problems.add(f"{path}, line 2", f"{wanted!r} was expected, not {short(' '.join(header))}")
    rows = list(_rows(path, lines[2:], columns, parse, problems))
    return Table(rows, announced or 0)


def _rows(
    path: pathlib.Path,
    lines: Sequence[str],
    columns: Sequence[str],
    parse: Callable[[Sequence[str]], RowType],
    problems: ListProblems,
) -> Iterator[RowType]:
    for number, line in enumerate(lines, start=3):
        fields = line.split()
        if not fields:
            continue
        try:
            if len(fields) != len(columns):
                wanted = f"{len(columns)} columns were expected"
                raise RowError(f"{wanted}, not {len(fields)}: {short(line.strip())}")
            yield parse(fields)
        except RowError as error:
            problems.add(f"{path}, line {number}", error)


def pixels(text: str, name: str) -> int | float:
    """Parse a number of pixels in a column.

    Raises:
        RowError: if it is not one.
    """
    value: int | float | None = None
    with contextlib.suppress(ValueError):
        value = int(text) if text.isdecimal() else float(text)
    if not is_pixels(value):
        raise RowError(f"{name} must be a number of pixels, not {short(text)}")
    return value


def is_pixels(value: object) -> TypeGuard[int | float]:
    """Whether a decoded value can be a number of pixels: small enough to calculate with."""
    # Compared, not converted: whole numbers may be too long for a float.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _LARGEST_PIXEL


def whole_number(text: str) -> int | None:
    """Parse digits; `None` for another text, and for more digits than Python converts."""
    try:
        return int(text) if text.strip().isdecimal() else None
    except ValueError:
        return None


def one_of(text: str, words: Sequence[str], name: str) -> str:
    """Check that a column holds one of a few words.

    Raises:
        RowError: if it holds another.
    """
    if text not in words:
        hint = did_you_mean(text, words)
        raise RowError(f"{name} must be one of {', '.join(words)}, not {short(text)}{hint}")
    return text


def short(value: object) -> str:
    """Show a value in at most 60 characters of an error message."""
    return cut(repr(value))


def cut(text: str) -> str:
    """Cut a text after 60 characters."""
    return text if len(text) <= 60 else text[:57] + "..."
