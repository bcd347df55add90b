"""Everything that is wrong with a manifest, collected and told at once."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from fashion_jax.errors import FashionJaxError

SHOWN = 5  # of each kind


class ManifestError(FashionJaxError):
    """A manifest that cannot be read, or with rows that cannot be understood."""


@dataclasses.dataclass(frozen=True)
class _Kind:
    count: int
    unit: str
    examples: Sequence[str]

    def lines(self, what: str) -> list[str]:
        """The kind's part of the message."""
        more = self.count - len(self.examples)
        counted = f"{self.count:,} {self.unit}{'' if self.count == 1 else 's'}"
        rest = [f"    … and {more:,} more"] if more else []
        return [f"  {what} ({counted}):", *(f"    {each}" for each in self.examples), *rest]


class Problems:
    """Collects what is wrong, by kind; a million wrong rows cost no more than a few.

    Args:
        place: the manifest, for the message.
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
        """Takes down problems of one kind.

        Args:
            what: is wrong, starting with the column's name.
            rows: numbers of the wrong rows, rising; may be none.
            describe: says line and value of a row; only called for the first rows.
            unit: what is counted.
        """
        if len(rows):
            examples = [describe(int(row)) for row in rows[:SHOWN]]
            self._kinds[what] = _Kind(len(rows), unit, examples)

    def raise_any(self) -> None:
        """Ends the reading of a manifest that has problems.

        Raises:
            ManifestError: with their number, and the first ones of each kind.
        """
        if not self._kinds:
            return
        count = sum(kind.count for kind in self._kinds.values())
        lines = [line for what, kind in self._kinds.items() for line in kind.lines(what)]
        first = "" if count == 1 else "; the first of each kind"
        summary = f"{self.place}: {count:,} problem{'' if count == 1 else 's'}{first}:"
        raise ManifestError("\n".join([summary, *lines]))


def short(value: Any) -> str:
    """A value for an error message, at most 60 characters of it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
