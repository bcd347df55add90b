"""Columns of a manifest, found by their names."""

import collections
import dataclasses
import difflib
from collections.abc import Mapping, Sequence

from fashion_jax.datasets.building.list_files import short

from .problems import ManifestError

REQUIRED = ("photo", "identity")
BOX = ("x", "y", "width", "height")
COLUMNS = (*REQUIRED, "domain", "category", "split", "camera", *BOX)

_SIMILAR = 0.75


@dataclasses.dataclass(frozen=True)
class ColumnPlaces:
    """Places of a manifest's columns.

    Attributes:
        places: numbers of the known columns, by name, from 0.
        unknown: names of the others, which are not read.
    """

    places: Mapping[str, int]
    unknown: tuple[str, ...]


def find_columns(header: Sequence[str], place: str) -> ColumnPlaces:
    """Find the known columns, in any order, in upper or lower case.

    Args:
        header: names in the manifest.
        place: path or URI of the manifest, for messages.

    Raises:
        ManifestError: if a required column is missing, a column occurs twice, or a name looks
            misspelt.
    """
    names = [name.strip().lower() for name in header]
    unknown = {name: found for name, found in zip(names, header, strict=True) if _unknown(name)}
    problems = [
        *(f"column {name} is missing" for name in _lacking(names)),
        *(f"column {name} occurs more than once" for name in _repeated(names)),
        *(
            f"unknown column {short(found)}: did you mean {near}?"
            for name, found in unknown.items()
            for near in _slips(name, names)
        ),
    ]
    if problems:
        found = ", ".join(map(short, header))
        raise ManifestError(
            f"{place}: {'; '.join(problems)}. Its columns are {found}; required are "
            f"{', '.join(REQUIRED)}, optional {', '.join(COLUMNS[len(REQUIRED) :])}"
        )
    places = {name: names.index(name) for name in COLUMNS if name in names}
    return ColumnPlaces(places, tuple(found.strip() or "(no name)" for found in unknown.values()))


def _unknown(name: str) -> bool:
    return name not in COLUMNS


def _lacking(names: Sequence[str]) -> list[str]:
    """List the missing columns; a box needs all four of its columns."""
    wanted = (*REQUIRED, *BOX) if any(name in names for name in BOX) else REQUIRED
    return [name for name in wanted if name not in names]


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in collections.Counter(names).items() if count > 1 and name]


def _slips(name: str, names: Sequence[str]) -> list[str]:
    """Guess the missing column that a name of nearly the same length misspells.

    Teams often have additional columns, such as `category_id` or `photographer`.
    """
    free = [known for known in COLUMNS if known not in names and abs(len(known) - len(name)) <= 1]
    return difflib.get_close_matches(name, free, n=1, cutoff=_SIMILAR)
