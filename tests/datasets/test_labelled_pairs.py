"""Labelled pairs: products joined, products told apart, and the batches that show them together."""

import numpy as np
import pytest

from fashion_jax.datasets.duplicates.decisions import Decision
from fashion_jax.datasets.identity_batches import IdentityBatchPlan
from fashion_jax.datasets.labelled_pairs import pairs_sha256, product_pairs
from fashion_jax.datasets.mixture import DatasetMixture
from tests.datasets.fakes import FakeSplit

SPLIT = FakeSplit("train", 5)  # photos 4 n to 4 n + 3 show product n


def photo(product, number=0):
    return f"train_{4 * product + number:04d}"


def same(first, second):
    return Decision(first, second, "same")


def different(first, second):
    return Decision(first, second, "different")


def test_products_are_joined_and_told_apart():
    found = product_pairs(
        SPLIT,
        [
            same(photo(4), photo(2, 3)),
            same(photo(2, 1), photo(1)),
            different(photo(4), photo(0)),
            different(photo(0, 1), photo(1, 2)),  # the same pair of products, once they are joined
            different(photo(3), photo(0)),
            different(photo(4), photo(1)),  # contradicts the first two
            same(photo(3), "sha256:ab"),
        ],
    )
    assert np.repeat([0, 1, 1, 3, 1], 4).tolist() == found.identity.tolist()
    assert found.different.tolist() == [[0, 1], [0, 3]]
    assert (found.joined, found.unknown) == (2, 1)
    assert found.contradicted == [different(photo(4), photo(1))]
    assert "2 products joined to others, 2 pairs of products told apart, 1 pairs" in str(found)
    assert f"such as {photo(4)} and {photo(1)}" in str(found)


@pytest.mark.parametrize("pairs", [[], [same("x", "y")], [same(photo(3), photo(3, 1))]])
def test_without_news_nothing_changes(pairs):
    found = product_pairs(SPLIT, pairs)
    np.testing.assert_array_equal(found.identity, SPLIT.identity)
    assert found.different.shape == (0, 2)
    assert found.joined == 0


def test_a_photo_of_several_products_says_nothing():
    split = FakeSplit("train", 3)
    split.photo_id[4] = split.photo_id[0]
    found = product_pairs(split, [same(photo(0), photo(2))])
    assert (found.joined, found.unknown) == (0, 1)


def batches(plan, identity):
    """Identities of each batch of two epochs."""
    return [set(identity[plan.rows(step)].tolist()) for step in range(2 * plan.steps_per_epoch)]


def test_products_that_were_told_apart_meet_in_batches():
    split = FakeSplit("train", 64)
    pairs = np.array([[n, n + 32] for n in range(16)])
    parts = split.identity, split.domain, 8, 4, 7, False

    def meetings(plan):
        shown = batches(plan, split.identity)
        assert all(len(batch) == 8 for batch in shown)
        half = len(shown) // 2
        for epoch in (shown[:half], shown[half:]):
            assert set().union(*epoch) == set(range(64))  # nothing is left out for it
        return sum(first in batch and second in batch for batch in shown for first, second in pairs)

    assert meetings(IdentityBatchPlan(*parts, pairs)) >= 18
    assert meetings(IdentityBatchPlan(*parts)) <= 10
    again = IdentityBatchPlan(*parts, pairs)
    plan = IdentityBatchPlan(*parts, pairs)
    for step in reversed(range(20)):
        np.testing.assert_array_equal(plan.rows(step), again.rows(step))


def test_joined_products_are_one_class_of_their_own_dataset():
    parts = {"a": FakeSplit("train", 6), "b": FakeSplit("train", 6)}
    parts["b"].photo_id = np.char.add("b_", parts["b"].photo_id)
    plan = DatasetMixture(parts, 4, 2, 0, pairs=[same(photo(0), photo(5))])
    assert plan.num_identities == 11
    labels = plan.labels.reshape(12, 4)[:, 0].tolist()
    assert labels == [0, 1, 2, 3, 4, 0, 5, 6, 7, 8, 9, 10]


def test_the_digest_is_of_what_the_pairs_say():
    pairs = [same("a", "b"), different("c", "d")]
    turned = [Decision("d", "c", "different", "a comment"), same("b", "a")]
    assert pairs_sha256(pairs) == pairs_sha256(turned)
    assert pairs_sha256(pairs) != pairs_sha256([same("a", "b"), same("c", "d")])
    plan = DatasetMixture({"a": SPLIT}, 4, 2, 0, pairs=pairs)
    assert plan.pairs_sha256 == pairs_sha256(pairs)  # of the plan, however the file grows
