"""Problems of a list, collected and raised at once."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from fashion_jax.errors import FashionJaxError

SHOWN = 5  # of each kind


class PhotoListError(FashionJaxError):
    """A list that cannot be read, or with invalid rows."""


@dataclasses.dataclass(frozen=True)
class _Kind:
    count: int
    unit: str
    examples: Sequence[str]

    def lines(self, what: str) -> list[str]:
        """Format this kind for the message."""
        more = self.count - len(self.examples)
        counted = f"{self.count:,} {self.unit}{'' if self.count == 1 else 's'}"
        rest = [f"    … and {more:,} more"] if more else []
        return [f"  {what} ({counted}):", *(f"    {each}" for each in self.examples), *rest]


class RowProblems:
    """Collector of problems, by kind; a million wrong rows cost no more than a few.

    Args:
        place: path or URI of the list, for the message.
    """

    def __init__(self, place: str):
        self.place = place
        self._kinds: dict[str, _Kind] = {}

    def add(
        self,
        what: str,
        rows: Int[np.ndarray, " wrong"] | Sequence[int],
        describe: Callable[[int], str],
        unit: str = "row",
    ) -> None:
        """Add problems of one kind.

        Args:
            what: description of the problem, starting with the column's name.
            rows: numbers of the wrong rows, in rising order; may be empty.
            describe: function that gives line and value of a row; called for the first rows only.
            unit: name of the counted things.
        """
        if len(rows):
            examples = [describe(int(row)) for row in rows[:SHOWN]]
            self._kinds[what] = _Kind(len(rows), unit, examples)

    def raise_any(self) -> None:
        """Raise an error if the list has problems.

        Raises:
            PhotoListError: if any were added; with their number, and the first of each kind.
        """
        if not self._kinds:
            return
        count = sum(kind.count for kind in self._kinds.values())
        lines = [line for what, kind in self._kinds.items() for line in kind.lines(what)]
        first = "" if count == 1 else "; the first of each kind"
        summary = f"{self.place}: {count:,} problem{'' if count == 1 else 's'}{first}:"
        raise PhotoListError("\n".join([summary, *lines]))
