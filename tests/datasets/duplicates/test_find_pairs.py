"""Pairs: their kinds, their names, and what is no pair."""

import itertools

import numpy as np
import pytest

from fashion_jax.datasets.duplicates.decisions import Decision
from fashion_jax.datasets.duplicates.find_pairs import Names, find_pairs
from fashion_jax.datasets.duplicates.fingerprints import read_fingerprints
from fashion_jax.datasets.duplicates.limits import Limits
from tests.datasets.duplicates.drawn_photos import (
    BLUE,
    encoded,
    garment,
    mirrored,
    reencoded,
    resized,
)


def found_in(*photos, decisions=()):
    """Pairs among photos: (file, id, product, split)."""
    files, ids, products, splits = zip(*photos, strict=True)
    prints = read_fingerprints(files.__getitem__, len(files), progress=False)
    return find_pairs(Names(ids, products, splits), prints, Limits(), decisions)


def described(found):
    return [(pair.kind, pair.first.photo_id, pair.second.photo_id) for pair in found.pairs]


A, B, C = (encoded(garment(seed)) for seed in (0, 3, 7))
A_AGAIN = encoded(reencoded(garment(0)))


def test_the_kinds_of_pairs():
    found = found_in(
        (A, "a", "P", ""),
        (A, "copy", "P", ""),
        (A + b"more", "picture", "P", ""),
        (A_AGAIN, "jpeg", "P", ""),
        (encoded(resized(garment(3))), "half", "Q", ""),
        (B, "b", "Q", ""),
        (encoded(garment(3, BLUE)), "twin", "R", ""),
        (encoded(mirrored(garment(3))), "mirrored", "Q", ""),
        (C, "c", "S", ""),
    )
    assert described(found)[:2] == [("identical", "a", "copy"), ("same_picture", "a", "picture")]
    assert sorted(described(found)[2:]) == [
        ("nearly_the_same", "a", "jpeg"),
        ("nearly_the_same", "half", "b"),
    ]
    assert not any(pair.is_leak or pair.of_two_products for pair in found.pairs)


def test_two_products_and_two_splits_come_first():
    found = found_in(
        (A, "a", "P", "train"),
        (A, "copy", "P", "train"),
        (B, "b", "Q", "train"),
        (B, "b2", "R", "train"),
        (C, "c", "S", "train"),
        (C, "c", "S", "query"),
        (encoded(garment(9)), "unknown", "", "gallery"),
        (encoded(garment(9)), "known", "T", "gallery"),
    )
    assert [(pair.first.photo_id, pair.second.photo_id) for pair in found.pairs] == [
        ("c", "c"),
        ("b", "b2"),
        ("a", "copy"),
        ("unknown", "known"),
    ]
    assert [pair.is_leak for pair in found.pairs] == [True, False, False, False]
    assert [pair.of_two_products for pair in found.pairs] == [False, True, False, False]


def test_garments_of_one_photo_are_no_duplicates():
    crop = encoded(reencoded(garment(0), 90))
    several = [(A, "outfit", "P", "train"), (crop, "outfit", "Q", "train")]
    assert found_in(*several).pairs == []
    # A list without boxes names the whole photo once for each product.
    assert found_in(several[0], (A, "outfit", "Q", "train")).pairs == []
    # Other crops of a photo in another split are counted by its name; see seen_in_training.
    assert found_in(several[0], (crop, "outfit", "Q", "query")).pairs == []


def test_a_photo_of_several_products_is_one_photo_with_all_of_them():
    outfit = [(A, "outfit", product, "") for product in ("P", "Q")]
    again = [(A, "again", product, "") for product in ("Q", "R")]
    (pair,) = found_in(*outfit, *again, (B, "b", "S", "")).pairs
    assert (pair.first.products, pair.second.products) == (("P", "Q"), ("Q", "R"))
    assert not pair.of_two_products


@pytest.mark.parametrize("colour", [255, 40])
def test_many_blank_photos_are_not_all_paired(colour):
    rng = np.random.default_rng(0)
    blank = [np.full((60, 40, 3), colour, np.uint8) for _ in range(30)]
    noisy = [np.clip(each + rng.integers(-2, 3, each.shape), 0, 255) for each in blank]
    photos = [
        *((encoded(each), f"blank{row}", str(row), "") for row, each in enumerate(blank)),
        *((encoded(np.uint8(each)), f"noisy{row}", str(row), "") for row, each in enumerate(noisy)),
    ]
    found = found_in(*photos, (A, "a", "P", ""))
    assert (
        len(found.pairs) == 29
    )  # with the first, as they are identical; noise is compared no more
    assert {pair.first.photo_id for pair in found.pairs} == {"blank0"}


def test_equal_photos_are_paired_with_the_first_of_every_split():
    splits = ["train"] * 4 + ["query"] * 3
    photos = [(A, f"{row}", "P", split) for row, split in enumerate(splits)]
    found = {pair.rows for pair in found_in(*photos).pairs}
    assert found == {(0, row) for row in range(1, 7)} | {(row, 4) for row in (1, 2, 3)} | {
        (4, 5),
        (4, 6),
    }


def test_a_near_copy_leaks_into_every_split():
    found = found_in(
        (A, "a1", "P", "train"),
        (A, "a2", "P", "query"),
        (A_AGAIN, "b1", "P", "gallery"),
        (A_AGAIN, "b2", "P", "gallery"),
    )
    near = {pair.rows for pair in found.pairs if pair.kind == "nearly_the_same"}
    assert near == {(0, 2), (1, 2)}  # b2 is identical to b1
    assert {pair.rows for pair in found.pairs} - near == {(0, 1), (2, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_equal_photos_are_grouped_as_by_hand(seed):
    rng = np.random.default_rng(seed)
    files = [encoded(garment(100 * seed + number)) for number in range(5)]
    drawn = [
        (files[rng.integers(5)], f"{rng.integers(12)}", f"P{rng.integers(3)}", f"{rng.integers(2)}")
        for _ in range(20)
    ]
    found = found_in(*drawn).pairs
    paired = {name: name for name in {(row[1], row[3]) for row in drawn}}
    for row in range(len(drawn)):
        for other in range(row):
            same = drawn[row][0] == drawn[other][0]
            names = [(each[1], each[3]) for each in (drawn[row], drawn[other])]
            if same and names[0] != names[1]:
                low, high = sorted(paired[name] for name in names)
                paired = {name: low if head == high else head for name, head in paired.items()}
    joined = {name: name for name in paired}
    for pair in found:
        assert pair.kind == "identical"
        names = [(photo.photo_id, photo.split) for photo in (pair.first, pair.second)]
        low, high = sorted(joined[name] for name in names)
        joined = {name: low if head == high else head for name, head in joined.items()}
    for one, other in itertools.combinations(paired, 2):
        assert (paired[one] == paired[other]) == (joined[one] == joined[other])


@pytest.mark.parametrize("photos", [[], [(A, "a", "P", "")]])
def test_too_few_photos_for_a_pair(photos):
    files = [photo[0] for photo in photos]
    prints = read_fingerprints(files.__getitem__, len(files), progress=False)
    names = Names(*([photo[column] for photo in photos] for column in (1, 2, 3)))
    assert find_pairs(names, prints, Limits()).pairs == []


def test_decided_pairs_are_left_out_or_marked():
    photos = [(A, "a", "P", ""), (A, "copy", "P", ""), (B, "b", "Q", ""), (B, "b2", "R", "")]
    decisions = [Decision("copy", "a", "same"), Decision("b", "b2", "different", "the lining")]
    found = found_in(*photos, decisions=decisions)
    assert [(pair.first.photo_id, pair.decision) for pair in found.pairs] == [("a", "same")]
    assert found.different == 1
