"""Counts, leaks and the list of photos to remove."""

import json

import pytest

from fashion_jax.datasets.duplicates.duplicate import Duplicate, Photo
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.datasets.duplicates.result import Duplicates

COUNTS = {"train": 10, "query": 4, "gallery": 5}


def pair(first, second, kind="identical", decision=None, rows=None):
    """A pair of photos: (id, product, split)."""
    photos = [
        Photo(name, (product,) if product else (), split)
        for name, product, split in (first, second)
    ]
    rows = rows or tuple(sum(map(ord, photo.photo_id)) for photo in photos)
    return Duplicate(kind, *photos, 2, 1.234, None, decision, rows)


def result(*pairs, counts=COUNTS, **further):
    values = {"different": 0, "plain": 0, "crowded": 0, "limits": Limits()} | further
    return Duplicates("shop 1.0.0", counts, list(pairs), **values)


FOUND = result(
    pair(("a", "P", "train"), ("b", "Q", "query")),
    pair(("a", "P", "train"), ("c", "P", "query"), "nearly_the_same"),
    pair(("d", "P", "query"), ("e", "P", "train")),
    pair(("f", "P", "query"), ("f", "P", "gallery"), "same_picture"),
    pair(("g", "P", "train"), ("h", "", "train"), decision="same"),
    different=3,
    plain=2,
    crowded=1,
)


def test_leaks_are_counted_by_pair_of_splits_and_named():
    first, second = FOUND.leaks
    assert (first.splits, first.pairs) == (("train", "query"), 3)
    assert first.photos == {"train": 2, "query": 3}
    assert first.names == ["b", "c", "d"]
    assert (second.splits, second.names) == (("query", "gallery"), ["f"])


def test_counts_by_kind():
    assert [FOUND.count(each) for each in ("leak", "two_products", "any")] == [4, 1, 5]
    assert FOUND.count("leak", "nearly_the_same") == 1
    assert FOUND.decided == {"same": 1, "different": 3}
    assert len(FOUND.undecided) == 4


def test_the_table_says_everything():
    table = FOUND.to_table()
    for words in (
        "19 photos of shop 1.0.0",
        "3 of 4 photos of query are in train as well: b, c, d",
        "a (train, P)",
        "decided: 1 pairs are the same, 3 are different",
        "2 photos of one colour",
        "1 photos are close to very many",
    ):
        assert words in table
    assert "split" not in result(counts={"": 3}).to_table()


def test_json_holds_all_pairs():
    plain = json.loads(json.dumps(FOUND.to_json()))
    assert plain["counts"]["identical"] == {"leak": 2, "two_products": 1, "any": 3}
    assert len(plain["pairs"]) == 5
    assert plain["pairs"][0] == {
        "kind": "identical",
        "first": {"photo_id": "a", "products": ["P"], "split": "train"},
        "second": {"photo_id": "b", "products": ["Q"], "split": "query"},
        "hash_distance": 2,
        "colour_difference": 1.23,
        "cosine": None,
        "decision": None,
    }


@pytest.mark.parametrize(
    ("decided", "removed"),
    [
        ("", []),
        ("ab", ["b"]),
        ("ba", ["b"]),
        ("bc ab", ["b", "c"]),
        ("ab cd", ["b", "d"]),
        ("ab bc ca", ["b", "c"]),
        ("aa", []),
    ],
)
def test_one_of_all_that_are_the_same_stays(decided, removed):
    pairs = [
        pair(*sorted((name, "", "") for name in both), decision="same") for both in decided.split()
    ]
    assert result(*pairs, pair(("x", "", ""), ("y", "", ""))).to_remove() == removed
