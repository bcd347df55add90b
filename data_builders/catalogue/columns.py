"""The columns of a manifest, found by their names."""

import collections
import dataclasses
import difflib
from collections.abc import Mapping, Sequence

from .problems import ManifestError, short

REQUIRED = ("photo", "identity")
BOX = ("x", "y", "width", "height")
COLUMNS = (*REQUIRED, "domain", "category", "split", "camera", *BOX)

_SIMILAR = 0.75


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where the columns of a manifest are.

    Attributes:
        places: of the known columns, by name, from 0.
        unknown: names of the others, which are not read.
    """

    places: Mapping[str, int]
    unknown: tuple[str, ...]


def find_columns(header: Sequence[str], place: str) -> Columns:
    """Finds the known columns, in any order, in upper or lower case.

    Args:
        header: names, as found.
        place: the manifest, for the message.

    Raises:
        ManifestError: a column that must be there is missing, is there twice, or has a name that
            looks like a slip of the pen.
    """
    names = [name.strip().lower() for name in header]
    unknown = {name: found for name, found in zip(names, header, strict=True) if _unknown(name)}
    problems = [
        *(f"there is no column {name}" for name in _lacking(names)),
        *(f"there is more than one column {name}" for name in _repeated(names)),
        *(
            f"unknown column {short(found)}: did you mean {near}?"
            for name, found in unknown.items()
            for near in _slips(name, names)
        ),
    ]
    if problems:
        found = ", ".join(map(short, header))
        raise ManifestError(
            f"{place}: {'; '.join(problems)}. Its columns are {found}; wanted are "
            f"{', '.join(REQUIRED)} and, where there are such, "
            f"{', '.join(COLUMNS[len(REQUIRED) :])}"
        )
    places = {name: names.index(name) for name in COLUMNS if name in names}
    return Columns(places, tuple(found.strip() or "(no name)" for found in unknown.values()))


def _unknown(name: str) -> bool:
    return name not in COLUMNS


def _lacking(names: Sequence[str]) -> list[str]:
    """Columns that must be there: a box has all four or none."""
    wanted = (*REQUIRED, *BOX) if any(name in names for name in BOX) else REQUIRED
    return [name for name in wanted if name not in names]


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in collections.Counter(names).items() if count > 1 and name]


def _slips(name: str, names: Sequence[str]) -> list[str]:
    """The column that was meant, if the name looks so: as long, nearly, and not there otherwise.

    A team may well have columns of its own, such as `category_id` or `photographer`.
    """
    free = [known for known in COLUMNS if known not in names and abs(len(known) - len(name)) <= 1]
    return difflib.get_close_matches(name, free, n=1, cutoff=_SIMILAR)
