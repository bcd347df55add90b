"""The P×K plan: pure, complete, distinct identities, both domains."""

import numpy as np
import pytest

from fashion_jax.data.identity_batches import IdentityBatchPlan
from fashion_jax.errors import FashionJaxError

P, K = 4, 4


def make_photos(counts: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Identities 10, 20, ... with (street, shop) photos each, in shuffled rows."""
    identity = np.repeat(10 * np.arange(1, len(counts) + 1), [sum(count) for count in counts])
    domain = np.concatenate([[0] * street + [1] * shop for street, shop in counts])
    order = np.random.default_rng(0).permutation(len(identity))
    return identity[order], domain[order]


COUNTS = [(1, 1), (2, 1), (0, 1), (3, 0), (6, 7), (2, 2), (1, 9), (5, 0), (40, 3), (1, 2), (2, 5)]


@pytest.fixture
def photos() -> tuple[np.ndarray, np.ndarray]:
    return make_photos(COUNTS)


def make_plan(photos: tuple[np.ndarray, np.ndarray], seed: int = 7) -> IdentityBatchPlan:
    return IdentityBatchPlan(*photos, P, K, seed)


def epoch_rows(plan: IdentityBatchPlan, epoch: int) -> list[np.ndarray]:
    start = epoch * plan.steps_per_epoch
    return [plan.rows(step) for step in range(start, start + plan.steps_per_epoch)]


def test_batch_depends_on_seed_and_step_only(photos):
    plan = make_plan(photos)
    forward = [plan.rows(step) for step in range(30)]
    again = make_plan(photos)
    for step in reversed(range(30)):
        np.testing.assert_array_equal(again.rows(step), forward[step])
    other = make_plan(photos, seed=8)
    assert any(not np.array_equal(other.rows(step), forward[step]) for step in range(30))


def test_batch_is_k_photos_of_p_distinct_identities(photos):
    plan = make_plan(photos)
    for step in range(50):
        identities = photos[0][plan.rows(step)].reshape(P, K)
        assert (identities == identities[:, :1]).all()
        assert len(set(identities[:, 0])) == P


def test_every_identity_is_in_every_epoch(photos):
    plan = make_plan(photos)
    for epoch in range(5):
        assert set(photos[0][np.concatenate(epoch_rows(plan, epoch))]) == set(photos[0])


def test_epochs_differ(photos):
    plan = make_plan(photos)
    first, second = (np.concatenate(epoch_rows(plan, epoch)) for epoch in (0, 1))
    assert not np.array_equal(first, second)


def test_both_domains_wherever_an_identity_has_both(photos):
    identity, domain = photos
    plan = make_plan(photos)
    for step in range(50):
        for rows in plan.rows(step).reshape(P, K):
            available = set(domain[identity == identity[rows[0]]])
            assert set(domain[rows]) == available


def test_photos_repeat_only_where_there_are_fewer_than_k(photos):
    identity, _ = photos
    plan = make_plan(photos)
    for step in range(50):
        for rows in plan.rows(step).reshape(P, K):
            available = int((identity == identity[rows[0]]).sum())
            assert len(set(rows)) == min(K, available)


def test_photos_of_an_identity_with_many_are_spread_over_its_groups(photos):
    identity, _ = photos
    plan = make_plan(photos)
    rows = np.concatenate(epoch_rows(plan, 0))
    assert plan.steps_per_epoch == 5  # 11 identities with 19 groups of four
    shown = set(rows[identity[rows] == 50])  # 13 photos, three groups of four
    assert len(shown) >= 8


def test_all_photos_are_shown_sooner_or_later(photos):
    plan = make_plan(photos)
    rows = np.concatenate([np.concatenate(epoch_rows(plan, epoch)) for epoch in range(30)])
    assert set(rows) == set(range(len(photos[0])))


def test_labels_are_dense(photos):
    plan = make_plan(photos)
    assert plan.num_identities == len(COUNTS)
    np.testing.assert_array_equal(plan.labels, photos[0] // 10 - 1)


def test_one_identity_with_most_photos_never_meets_itself():
    photos = make_photos([(100, 100), (1, 1), (1, 1), (1, 1), (1, 1)])
    plan = make_plan(photos)
    for step in range(3 * plan.steps_per_epoch):
        assert len(set(photos[0][plan.rows(step)])) == P


def test_too_few_identities_is_an_error():
    with pytest.raises(FashionJaxError, match=r"takes 4 identities.* has 3"):
        make_plan(make_photos([(1, 1)] * 3))
