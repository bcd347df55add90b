"""Pairs of photos that are the same or nearly the same."""

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from fashion_jax.datasets.duplicates.decisions import DIFFERENT, Decision
from fashion_jax.datasets.duplicates.duplicate import Duplicate, Photo
from fashion_jax.datasets.duplicates.equal_pictures import first_rows
from fashion_jax.datasets.duplicates.fingerprints import Fingerprints, Rows
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.near_pairs import Embedded, near_pairs, similar_pairs
from fashion_jax.datasets.duplicates.words import IDENTICAL, NEARLY_THE_SAME, SAME_PICTURE

RowPair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Names:
    """Names of photos, one row each.

    Attributes:
        photo_id: id of each photo; a photo of several products has a row for each.
        product: product on each photo; empty if unknown.
        split: split of each photo; empty without splits.
    """

    photo_id: Sequence[str]
    product: Sequence[str]
    split: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Found:
    """Pairs found among photos.

    Attributes:
        pairs: pairs, the worst first; without those that were decided to be different.
        different: number of the latter.
        crowded: number of photos that are close to so many others that only the nearest pairs were
            kept.
    """

    pairs: Sequence[Duplicate]
    different: int
    crowded: int


def find_pairs(
    names: Names,
    prints: Fingerprints,
    limits: Limits,
    decisions: Iterable[Decision] = (),
    embedded: Embedded | None = None,
) -> Found:
    """Find pairs of equal files, equal pictures and nearly equal pictures.

    Of many equal photos, each is paired with the first one of every split, not with every other.
    Rows of one split with one name are no pair: a list names a photo once for each product on it.

    Args:
        names: names of the photos.
        prints: their fingerprints.
        limits: limits of what is nearly the same.
        decisions: decisions on pairs.
        embedded: their embeddings, if there are any.
    """
    # Rows of a photo of several products count once.
    unit = first_rows(zip(names.split, names.photo_id, prints.pictures.tolist(), strict=True))
    rows = np.unique(unit).tolist()
    shown = np.flatnonzero(prints.pictures == np.arange(len(prints)))
    shown = shown[~prints.plain[shown]]
    near = near_pairs(prints, shown, limits)
    heads = _heads(rows, prints.pictures, names.split)
    pairs = {
        *_equal(rows, prints.contents, names.split),
        *_equal(rows, prints.pictures, names.split),
        *_in_every_split(near.first, near.second, heads),
    }
    if embedded is not None:
        pairs.update(_in_every_split(*similar_pairs(prints, shown, limits, embedded), heads))
    kept = [pair for pair in sorted(pairs) if _may_be_duplicates(pair, names, prints)]
    made = _made(kept, _photos(kept, unit, names), prints, decisions, embedded)
    same = [each for each in made if each.decision != DIFFERENT]
    same.sort(key=lambda each: each.worst_first)
    return Found(same, len(made) - len(same), near.crowded)


def _heads(
    rows: Iterable[int], numbers: Rows, split: Sequence[str]
) -> Mapping[int, Mapping[str, int]]:
    """First row of each split, by number."""
    heads: dict[int, dict[str, int]] = collections.defaultdict(dict)
    for row in rows:
        heads[int(numbers[row])].setdefault(split[row], row)
    return heads


def _equal(rows: Sequence[int], numbers: Rows, split: Sequence[str]) -> Iterator[RowPair]:
    """Pair each row with the first of the same number in every split."""
    heads = _heads(rows, numbers, split)
    for row in rows:
        for head in heads[int(numbers[row])].values():
            if head != row:
                yield min(row, head), max(row, head)


def _in_every_split(
    first: Rows, second: Rows, heads: Mapping[int, Mapping[str, int]]
) -> Iterator[RowPair]:
    """Pair the first photos with two pictures in every split."""
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        for here in heads[one].values():
            for there in heads[other].values():
                yield min(here, there), max(here, there)


def _may_be_duplicates(pair: RowPair, names: Names, prints: Fingerprints) -> bool:
    """Tell different crops of one photo, and rows of one name, from duplicates."""
    one, other = pair
    if names.photo_id[one] != names.photo_id[other]:
        return True
    in_two_splits = names.split[one] != names.split[other]
    return in_two_splits and _kind(pair, prints) != NEARLY_THE_SAME


def _kind(pair: RowPair, prints: Fingerprints) -> str:
    one, other = pair
    if prints.contents[one] == prints.contents[other]:
        return IDENTICAL
    return SAME_PICTURE if prints.pictures[one] == prints.pictures[other] else NEARLY_THE_SAME


def _photos(pairs: Iterable[RowPair], unit: Rows, names: Names) -> dict[int, Photo]:
    """Photos of pairs by row, with the products of all rows that they stand for."""
    products: dict[int, dict[str, None]] = {row: {} for pair in pairs for row in pair}
    for row, first in enumerate(unit.tolist()):
        if first in products and names.product[row]:
            products[first][names.product[row]] = None
    return {
        row: Photo(names.photo_id[row], tuple(of_row), names.split[row])
        for row, of_row in products.items()
    }


def _made(
    pairs: Sequence[RowPair],
    photos: Mapping[int, Photo],
    prints: Fingerprints,
    decisions: Iterable[Decision],
    embedded: Embedded | None,
) -> list[Duplicate]:
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    distances = prints.hash_distances(first, second).tolist()
    colours = prints.colour_differences(first, second).tolist()
    cosines = [None] * len(pairs) if embedded is None else embedded.cosines(first, second).tolist()
    decided = {each.pair: each.decision for each in decisions}
    return [
        Duplicate(
            _kind(pair, prints),
            photos[pair[0]],
            photos[pair[1]],
            distance,
            colour,
            cosine,
            decided.get(frozenset(photos[row].photo_id for row in pair)),
            pair,
        )
        for pair, distance, colour, cosine in zip(pairs, distances, colours, cosines, strict=True)
    ]
