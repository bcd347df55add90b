"""Result of a search for duplicates: pairs, counts, leaks."""

import collections
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tabulate import tabulate

from fashion_jax.datasets.duplicates.decisions import DIFFERENT, SAME
from fashion_jax.datasets.duplicates.duplicate import Duplicate, Photo
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.words import (
    ANY,
    COUNTED,
    FAILURES,
    KINDS,
    LEAK,
    TWO_PRODUCTS,
    in_words,
)
from fashion_jax.errors import named

_SHOWN = 10


@dataclasses.dataclass(frozen=True)
class Leak:
    """Pairs of photos in two splits.

    Attributes:
        splits: the splits.
        pairs: number of pairs.
        photos: number of photos in these pairs, by split.
        names: ids of the photos of the second split, in order.
    """

    splits: tuple[str, str]
    pairs: int
    photos: Mapping[str, int]
    names: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Duplicates:
    """Photos that are the same or nearly the same.

    Attributes:
        source: what was searched.
        photos: number of photos, by split.
        pairs: pairs, the worst first; without those that were decided to be different.
        different: number of pairs that were decided to be different.
        plain: number of photos that show one colour alone, whose hashes mean nothing.
        crowded: number of photos that are close to so many others that only the nearest pairs were
            kept.
        limits: limits of what is nearly the same.
        report: folder of the page and of the list of pairs, if they were written.
    """

    source: str
    photos: Mapping[str, int]
    pairs: Sequence[Duplicate]
    different: int
    plain: int
    crowded: int
    limits: Limits
    report: str | None = None

    @property
    def undecided(self) -> list[Duplicate]:
        """Pairs without a decision."""
        return [pair for pair in self.pairs if pair.decision is None]

    @property
    def leaks(self) -> list[Leak]:
        """Leaks by pair of splits."""
        found = collections.defaultdict(list)
        order = list(self.photos)
        for pair in self.pairs:
            if pair.is_leak:
                photos = sorted((pair.first, pair.second), key=lambda each: order.index(each.split))
                found[photos[0].split, photos[1].split].append(photos)
        return [
            _leak(splits, found[splits])
            for splits in itertools.combinations(order, 2)
            if splits in found
        ]

    def count(self, failure: str, kind: str | None = None) -> int:
        """Count pairs.

        Args:
            failure: one of `FAILURES`.
            kind: one of `KINDS`; by default all.
        """
        pairs = [pair for pair in self.pairs if kind in (None, pair.kind)]
        if failure == LEAK:
            return sum(pair.is_leak for pair in pairs)
        if failure == TWO_PRODUCTS:
            return sum(pair.of_two_products for pair in pairs)
        return len(pairs)

    def to_remove(self) -> list[str]:
        """Ids of photos to remove, so that one stays of all that were decided to be the same.

        The one that comes first in the dataset or index stays.
        """
        decided = [pair for pair in self.pairs if pair.decision == SAME]
        rows: dict[str, int] = {}
        for pair in decided:
            for photo, row in zip((pair.first, pair.second), pair.rows, strict=True):
                rows[photo.photo_id] = min(row, rows.get(photo.photo_id, row))
        names = sorted(rows, key=rows.__getitem__)
        number = {name: place for place, name in enumerate(names)}
        one, other = (
            [number[getattr(pair, side).photo_id] for pair in decided]
            for side in ("first", "second")
        )
        graph = coo_array((np.ones(len(decided)), (one, other)), shape=(len(names), len(names)))
        _, group = connected_components(graph, directed=False)
        stay = np.unique(group, return_index=True)[1]
        return np.delete(names, stay).tolist() if names else []

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "source": self.source,
            "photos": dict(self.photos),
            "counts": {
                kind: {failure: self.count(failure, kind) for failure in FAILURES} for kind in KINDS
            },
            "leaks": msgspec.to_builtins(self.leaks),
            "decided": self.decided,
            "plain": self.plain,
            "crowded": self.crowded,
            "limits": dataclasses.asdict(self.limits),
            "report": self.report,
            "pairs": [pair.to_json() for pair in self.pairs],
        }

    def to_table(self) -> str:
        """Tables for people: counts, leaks and the worst pairs."""
        total = f"{sum(self.photos.values()):,} photos of {self.source}"
        parts = [total, self._count_table(), self._leak_lines(), self._pair_table(), self._notes()]
        return "\n\n".join(part for part in parts if part)

    @property
    def decided(self) -> dict[str, int]:
        """Number of pairs found, by decision."""
        return {SAME: len(self.pairs) - len(self.undecided), DIFFERENT: self.different}

    def _count_table(self) -> str:
        columns = [TWO_PRODUCTS, ANY] if len(self.photos) == 1 else [LEAK, TWO_PRODUCTS, ANY]
        rows = [
            [in_words(kind), *(f"{self.count(failure, kind):,}" for failure in columns)]
            for kind in KINDS
        ]
        names = ["pairs", *(COUNTED[failure] for failure in columns)]
        align = ("left", *["right"] * len(columns))
        return tabulate(rows, names, colalign=align, disable_numparse=True)

    def _leak_lines(self) -> str:
        return "\n".join(_leak_line(leak, self.photos) for leak in self.leaks)

    def _pair_table(self) -> str:
        rows = [
            [
                in_words(pair.kind),
                *(_described(photo) for photo in (pair.first, pair.second)),
                pair.hash_distance,
                f"{pair.colour_difference:.1f}",
                "" if pair.cosine is None else f"{pair.cosine:.3f}",
            ]
            for pair in self.undecided[:_SHOWN]
        ]
        columns = ["", "first", "second", "hash", "colour", "cosine"]
        return tabulate(rows, columns, disable_numparse=True) if rows else ""

    def _notes(self) -> str:
        """Lines on what the tables do not show."""
        decided, more = self.decided, len(self.undecided) - _SHOWN
        lines = [
            f"and {more:,} more pairs" if more > 0 else "",
            f"decided: {decided[SAME]:,} pairs are the same, {decided[DIFFERENT]:,} are different"
            if any(decided.values())
            else "",
            f"{self.plain:,} photos of one colour alone were compared by their pixels only"
            if self.plain
            else "",
            f"{self.crowded:,} photos are close to very many others: only the nearest pairs are "
            f"listed"
            if self.crowded
            else "",
            f"page and list of pairs: {self.report}" if self.report else "",
        ]
        return "\n".join(line for line in lines if line)


def _leak(splits: tuple[str, str], pairs: Sequence[Sequence[Photo]]) -> Leak:
    names = [
        list(dict.fromkeys(photo.photo_id for photo in side)) for side in zip(*pairs, strict=True)
    ]
    photos = {split: len(ids) for split, ids in zip(splits, names, strict=True)}
    return Leak(splits, len(pairs), photos, sorted(names[1]))


def _leak_line(leak: Leak, photos: Mapping[str, int]) -> str:
    one, other = leak.splits
    return (
        f"{leak.photos[other]:,} of {photos[other]:,} photos of {other} are in {one} as well: "
        f"{named(leak.names)}"
    )


def _described(photo: Photo) -> str:
    """A photo in one line."""
    products = "+".join(photo.products)
    place = ", ".join(each for each in (photo.split, products) if each)
    return f"{photo.photo_id} ({place})" if place else photo.photo_id
