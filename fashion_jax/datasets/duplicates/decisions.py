"""A person's decisions on pairs of photos: a CSV list, filled in and read back."""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fashion_jax.datasets.building.list_files import short
from fashion_jax.datasets.photo_lists.csv_rows import CsvReader
from fashion_jax.datasets.photo_lists.problems import PhotoListError, RowProblems
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write, read_file
from fashion_jax.similar_names import did_you_mean

SAME, DIFFERENT = "same", "different"
DECISIONS = (SAME, DIFFERENT)

_PAIR = ("first", "second")
_COLUMNS = (*_PAIR, "decision", "comment")
_REQUIRED = _COLUMNS[:3]
_MAX_BYTES = 2**30

Pair = frozenset[str]  # ids of the photos, or the one id of a photo in two splits


@dataclasses.dataclass(frozen=True)
class Decision:
    """A decision on two photos.

    Attributes:
        first: id of one photo.
        second: id of the other photo; the same id for a photo in two splits.
        decision: one of `DECISIONS`.
        comment: anything.
    """

    first: str
    second: str
    decision: str
    comment: str = ""

    @property
    def pair(self) -> Pair:
        """The ids, in no order."""
        return frozenset((self.first, self.second))


def read_decisions(paths: Iterable[pathlib.Path]) -> list[Decision]:
    """Read lists of decisions: CSV with the columns first, second, decision and comment.

    Rows without a decision and further columns are skipped.

    Args:
        paths: files.

    Returns:
        One decision for each pair.

    Raises:
        PhotoListError: not a list of decisions, or rows (which are named) with another decision
            than `same` and `different`, or with two decisions on one pair.
        UnreadableFileError: a file cannot be read.
    """
    decided: dict[Pair, Decision] = {}
    for path in paths:
        problems = RowProblems(str(path))
        _add_decisions(read_file(path, _MAX_BYTES), problems, decided)
        problems.raise_any()
    return list(decided.values())


def write_decisions(
    path: pathlib.Path, decided: Iterable[Decision], undecided: Sequence[Mapping[str, object]]
) -> None:
    """Write decisions, then pairs to decide on, whose further columns help to decide.

    Args:
        path: CSV file.
        decided: the decisions.
        undecided: values of each pair by column, with `first` and `second`.
    """
    text = io.StringIO()
    further = [name for name in (undecided[0] if undecided else ()) if name not in _COLUMNS]
    writer = csv.DictWriter(text, [*_COLUMNS, *further], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(dataclasses.asdict, decided))
    writer.writerows(undecided)
    atomic_write(path, text.getvalue().encode("utf-8-sig"))  # spreadsheets look for the mark


def refuse_to_lose(path: pathlib.Path, decided: Iterable[Decision]) -> None:
    """Refuses to replace a list that holds other decisions than those given.

    Raises:
        FashionJaxError: there is such a list.
    """
    if not path.exists():
        return
    lost = len({each.pair for each in read_decisions([path])} - {each.pair for each in decided})
    if lost:
        raise FashionJaxError(
            f"{path} holds {lost:,} decisions that would be lost: read them as well "
            f"(--decisions {path}), or write elsewhere (--report DIR)"
        )


def _add_decisions(data: bytes, problems: RowProblems, decided: dict[Pair, Decision]) -> None:
    reader = CsvReader(data, problems)
    header = [name.strip().lower() for name in reader.header()]
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise PhotoListError(
            f"{problems.place}: column {', '.join(missing)} is missing; a list of decisions has "
            f"the columns {', '.join(_REQUIRED)} and, if you like, comment"
        )
    wrong: dict[int, str] = {}
    for line, row in _rows(reader, header):
        word = row["decision"].strip().lower()
        if not word:
            continue
        given = Decision(row["first"], row["second"], word, row.get("comment", ""))
        problem = _problem(given, decided)
        if problem:
            wrong[line] = problem
        else:
            decided.setdefault(given.pair, given)
    problems.add(
        "decisions that cannot be used", list(wrong), lambda line: f"line {line:,}: {wrong[line]}"
    )


def _rows(reader: CsvReader, header: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    for block in reader.blocks(len(header)):
        for row, line in zip(block.rows, block.lines.tolist(), strict=True):
            yield line, dict(zip(header, row, strict=True))


def _problem(given: Decision, decided: Mapping[Pair, Decision]) -> str:
    if given.decision not in DECISIONS:
        hint = did_you_mean(given.decision, DECISIONS)
        return f"{short(given.decision)} is neither same nor different{hint}"
    if not (given.first and given.second):
        return "a photo without a name"
    before = decided.get(given.pair)
    if before is not None and before.decision != given.decision:
        return f"{given.first} and {given.second} are {before.decision} in another row"
    return ""
