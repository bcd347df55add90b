"""Near pairs: what comparing all pairs by hand finds, and no more than asked for."""

import dataclasses

import numpy as np
import pytest

from fashion_jax.datasets.duplicates import near_pairs as module
from fashion_jax.datasets.duplicates.fingerprints import Fingerprints
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.near_pairs import Embedded, near_pairs, similar_pairs


def drawn_prints(rng, photos, families=6):
    """Fingerprints in families of close ones."""
    family = rng.integers(0, families, photos)
    hashes = rng.integers(0, 2**63, families, dtype=np.uint64)[family]
    flips = rng.integers(0, 64, (photos, 3)).astype(np.uint64)
    for column in flips.T:
        hashes ^= np.uint64(1) << column
    base = rng.uniform([20, -40, -40], [95, 40, 40], (families, 8, 8, 3))
    colours = (base[family] + rng.normal(0, 2.0, (photos, 8, 8, 3))).astype(np.float16)
    rows = np.arange(photos)
    return Fingerprints(rows, rows, hashes, colours, np.zeros(photos, bool))


def by_hand(prints, rows, limits):
    found = set()
    for place, one in enumerate(rows.tolist()):
        for other in rows[place + 1 :].tolist():
            bits = bin(int(prints.hashes[one]) ^ int(prints.hashes[other])).count("1")
            cells = (np.float32(prints.colours[row]) for row in (one, other))
            largest = np.linalg.norm(np.subtract(*cells), axis=-1).max()
            if bits <= limits.hash_distance and largest <= limits.colour_difference:
                found.add((one, other))
    return found


def as_set(found):
    pairs = zip(found.first.tolist(), found.second.tolist(), strict=True)
    return {(min(pair), max(pair)) for pair in pairs}


@pytest.mark.parametrize("seed", range(4))
def test_the_same_pairs_as_by_hand(seed, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 7)
    monkeypatch.setattr(module, "_TILE", 16)
    rng = np.random.default_rng(seed)
    prints = drawn_prints(rng, 50)
    rows = np.sort(rng.choice(50, 45, replace=False))
    limits = Limits(hash_distance=4, colour_difference=11.0, pairs=100)
    found = near_pairs(prints, rows, limits)
    expected = by_hand(prints, rows, limits)
    assert 0 < len(expected) < len(by_hand(prints, rows, Limits(8, 30.0)))
    assert as_set(found) == expected
    assert len(found.first) == len(expected)
    assert found.crowded == 0


def test_of_many_close_photos_only_the_nearest_pairs_are_kept():
    prints = drawn_prints(np.random.default_rng(0), 100, families=1)
    limits = Limits(hash_distance=12, colour_difference=40.0, pairs=5)
    found = near_pairs(prints, np.arange(100), limits)
    assert len(found.first) <= 5 * 100
    assert found.crowded > 80
    every = near_pairs(prints, np.arange(100), dataclasses.replace(limits, pairs=1000))
    distances = prints.hash_distances(found.first, found.second)
    assert distances.mean() < prints.hash_distances(every.first, every.second).mean()


def test_a_crowd_is_not_compared_in_full(monkeypatch):
    monkeypatch.setattr(module, "_MOST_COMPARED", 20)
    monkeypatch.setattr(module, "_TILE", 70)
    compared = []
    whole = Fingerprints.colour_differences
    monkeypatch.setattr(
        Fingerprints,
        "colour_differences",
        lambda self, first, second: compared.append(len(first)) or whole(self, first, second),
    )
    prints = drawn_prints(np.random.default_rng(0), 500, families=1)
    found = near_pairs(prints, np.arange(500), Limits(hash_distance=64))
    assert sum(compared) <= 500 * (20 + 70)
    assert found.crowded > 400


@pytest.mark.parametrize("photos", [0, 1])
def test_too_few_photos_for_a_pair(photos):
    prints = drawn_prints(np.random.default_rng(0), photos)
    assert len(near_pairs(prints, np.arange(photos), Limits()).first) == 0


def test_neighbours_by_embeddings_may_differ_more():
    hashes = np.array([0, 2**12 - 1, 2**30 - 1, 0], np.uint64)
    colours = np.zeros((4, 8, 8, 3), np.float16)
    colours[1, 0, 0, 0] = 15
    rows = np.arange(4)
    prints = Fingerprints(rows, rows, hashes, colours, np.zeros(4, bool))
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 1]], np.float32)
    neighbours = np.array([0, 0, 0, 0, 1]), np.array([0, 1, 2, 3, 0])
    embedded = Embedded(vectors, *neighbours)
    limits = Limits(similar_hash_distance=16, similar_colour_difference=20.0)
    first, second = similar_pairs(prints, rows, limits, embedded)
    pairs = list(zip(first.tolist(), second.tolist(), strict=True))
    assert pairs == [(0, 1), (1, 0)]  # not 2, whose hash is far; not 3, whose embedding is
    assert len(similar_pairs(prints, rows[1:], limits, embedded)[0]) == 0
