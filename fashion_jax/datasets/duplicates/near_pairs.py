"""Pairs of photos that are nearly the same, found without comparing all of them in full.

Photos are sorted by lightness: those with close colours lie within a window of that order. Within
it perceptual hashes are compared block by block, and only photos with close hashes are compared by
colours. The time is quadratic with a small factor (docs/duplicates.md), the memory is not.

Embeddings add pairs that a crop has moved apart: photos that are each other's nearest neighbours
may differ more in both.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float32, UInt64

from fashion_jax.datasets.duplicates.fingerprints import Fingerprints, Rows
from fashion_jax.datasets.duplicates.limits import Limits

_BLOCK, _TILE = 64, 4096  # the hashes of a tile stay in a core's cache
_MOST_COMPARED = 1024
_AT_ONCE = 8192
_ROUNDING = 0.01  # of lightness


@dataclasses.dataclass(frozen=True)
class Embedded:
    """Embeddings of photos, and pairs of neighbours among them.

    Attributes:
        embeddings: L2-normalised embeddings, one row per photo.
        first: rows of photos.
        second: rows of their nearest neighbours, in pairs with `first`.
    """

    embeddings: Float32[np.ndarray, "photos features"]
    first: Rows
    second: Rows

    def cosines(self, first: Rows, second: Rows) -> Float32[np.ndarray, " pairs"]:
        """Compute cosine similarities, pair by pair."""
        parts = [np.empty(0, np.float32)]
        for start in range(0, len(first), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            one, other = self.embeddings[first[part]], self.embeddings[second[part]]
            parts.append(np.einsum("pd,pd->p", one, other))
        return np.concatenate(parts)


@dataclasses.dataclass(frozen=True)
class NearPairs:
    """Pairs of photos that are nearly the same.

    Attributes:
        first: row of one photo of each pair.
        second: row of the other photo; a pair may occur twice.
        crowded: number of photos that are close to so many others that only the nearest pairs were
            kept.
    """

    first: Rows
    second: Rows
    crowded: int


def near_pairs(prints: Fingerprints, rows: Rows, limits: Limits) -> NearPairs:
    """Find the pairs of photos with close hashes and close colours.

    Args:
        prints: fingerprints of photos.
        rows: rows of the photos to compare, without plain ones.
        limits: limits of what is close.
    """
    lightness = prints.colours[rows, ..., 0].mean((1, 2), np.float32)
    order = np.argsort(lightness, kind="stable")
    rows, lightness = rows[order], lightness[order]
    reach = lightness + np.float32(limits.colour_difference + _ROUNDING)
    ends = np.searchsorted(lightness, reach, side="right")
    hashes, parts, crowded = prints.hashes[rows], [np.empty((2, 0), np.int64)], 0
    for start in range(0, len(rows), _BLOCK):
        block = min(_BLOCK, len(rows) - start)
        window = rows[start : ends[start + block - 1]]
        one, other, full = _close_hashes(hashes[start : start + len(window)], block, limits)
        one, other, cut = _nearest(prints, window, one, other, limits)
        full[cut] = True
        crowded += int(full.sum())
        parts.append(np.stack([window[one], window[other]]))
    first, second = np.concatenate(parts, axis=1)
    return NearPairs(first, second, crowded)


def similar_pairs(
    prints: Fingerprints, rows: Rows, limits: Limits, embedded: Embedded
) -> tuple[Rows, Rows]:
    """Find the neighbours by embeddings whose hashes and colours are not far apart.

    Args:
        prints: fingerprints of photos.
        rows: see `near_pairs`.
        limits: limits of what is close.
        embedded: neighbours.

    Returns:
        Rows of the photos of each pair.
    """
    first, second = prints.pictures[embedded.first], prints.pictures[embedded.second]
    compared = np.isin(first, rows) & np.isin(second, rows) & (first != second)
    first, second = first[compared], second[compared]
    close = prints.hash_distances(first, second) <= limits.similar_hash_distance
    first, second = first[close], second[close]
    close = prints.colour_differences(first, second) <= limits.similar_colour_difference
    close &= embedded.cosines(first, second) >= limits.cosine
    return first[close], second[close]


def _close_hashes(
    hashes: UInt64[np.ndarray, " window"], block: int, limits: Limits
) -> tuple[Rows, Rows, Bool[np.ndarray, " block"]]:
    """Compare the first hashes of a window with all that follow them.

    Returns:
        Places of close hashes in the window, smaller and larger; and which of the first hashes are
        close to so many that the comparison stopped.
    """
    room, parts = np.full(block, _MOST_COMPARED), [np.empty((2, 0), np.int64)]
    for start in range(0, len(hashes), _TILE):
        tile = hashes[start : start + _TILE]
        close = np.bitwise_count(hashes[:block, None] ^ tile) <= limits.hash_distance
        if start == 0:
            close &= np.arange(len(tile)) > np.arange(block)[:, None]
        if not room.all():
            close[room == 0] = False
        if close.any():
            one, other = np.nonzero(close)
            room = np.maximum(room - close.sum(1), 0)
            parts.append(np.stack([one, other + start]))
    one, other = np.concatenate(parts, axis=1)
    return one, other, room == 0


def _nearest(
    prints: Fingerprints, rows: Rows, one: Rows, other: Rows, limits: Limits
) -> tuple[Rows, Rows, Rows]:
    """Keep the pairs with close colours, of each first photo at most `limits.pairs`.

    Returns:
        Places of the photos of the pairs kept, and of the first photos that have more.
    """
    first, second = rows[one], rows[other]
    colour = prints.colour_differences(first, second)
    order = np.lexsort((other, colour, prints.hash_distances(first, second), one))
    order = order[colour[order] <= limits.colour_difference]
    one, other = one[order], other[order]
    rank = np.arange(len(one)) - np.searchsorted(one, one)
    kept = rank < limits.pairs
    return one[kept], other[kept], np.unique(one[~kept])
