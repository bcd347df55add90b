"""Answers that people mark as right or wrong: a list of pairs that evaluation and training read.

The file is a list of decisions, as `data duplicates` writes it: `same` for two photos of one
product, `different` for a wrong answer.
"""

import pathlib

from fashion_jax.datasets.duplicates.decisions import (
    DECISIONS,
    Decision,
    read_decisions,
    write_decisions,
)
from fashion_jax.errors import FashionJaxError
from fashion_jax.locks import sole_writer


class Marks:
    """A file of marks; several servers may share it."""

    def __init__(self, path: pathlib.Path) -> None:
        """Check that the file can be read, if it exists.

        Raises:
            FashionJaxError: it is no list of decisions.
        """
        self.path = path
        self.read()

    def read(self) -> list[Decision]:
        """Return all marks."""
        return read_decisions([self.path]) if self.path.exists() else []

    def add(self, mark: Decision) -> None:
        """Keep a mark, in place of an older one of the same pair.

        Raises:
            FashionJaxError: another decision than `same` and `different`, or one photo alone.
        """
        if mark.decision not in DECISIONS:
            raise FashionJaxError(
                f"a mark is {' or '.join(DECISIONS)}; got {mark.decision[:100]!r}"
            )
        if mark.first == mark.second:
            raise FashionJaxError(f"a mark is about two photos; got {mark.first!r} twice")
        lock = self.path.with_name(f".{self.path.name}.lock")
        with sole_writer(lock, f"writing {self.path}", wait=True):
            others = [each for each in self.read() if each.pair != mark.pair]
            write_decisions(self.path, [*others, mark], [])
