"""The P×K plan: pure, complete, distinct identities, both domains."""

import numpy as np
import pytest

from fashion_jax.datasets.identity_batches import IdentityBatchPlan
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


def make_plan(
    photos: tuple[np.ndarray, np.ndarray],
    seed: int = 7,
    balance_domains: bool = False,
    photos_per_identity: int = K,
) -> IdentityBatchPlan:
    return IdentityBatchPlan(*photos, P, photos_per_identity, seed, balance_domains)


def epoch_rows(plan: IdentityBatchPlan, epoch: int) -> list[np.ndarray]:
    start = epoch * plan.steps_per_epoch
    return [plan.rows(step) for step in range(start, start + plan.steps_per_epoch)]


@pytest.mark.parametrize("balanced", [False, True])
def test_batch_depends_on_seed_and_step_only(photos, balanced):
    plan = make_plan(photos, balance_domains=balanced)
    forward = [plan.rows(step) for step in range(30)]
    again = make_plan(photos, balance_domains=balanced)
    for step in reversed(range(30)):
        np.testing.assert_array_equal(again.rows(step), forward[step])
    other = make_plan(photos, 8, balanced)
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


@pytest.mark.parametrize("balanced", [False, True])
def test_photos_repeat_only_where_there_are_fewer_than_k(photos, balanced):
    identity, _ = photos
    plan = make_plan(photos, balance_domains=balanced)
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


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("balanced", [False, True])
def test_all_photos_are_shown_sooner_or_later(photos, balanced, k):
    plan = make_plan(photos, balance_domains=balanced, photos_per_identity=k)
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


def test_rows_are_those_that_earlier_runs_were_interrupted_in(photos):
    plan = make_plan(photos)
    first = [64, 1, 20, 34, 10, 12, 5, 52, 30, 26, 50, 58, 79, 11, 42, 42]
    eighth = [50, 58, 26, 30, 16, 1, 46, 73, 54, 48, 48, 54, 25, 38, 47, 25]
    assert plan.rows(0).tolist() == first
    assert plan.rows(7).tolist() == eighth


def counts_by_domain(rows: np.ndarray, domain: np.ndarray) -> tuple[int, int]:
    street, shop = np.bincount(domain[rows], minlength=2)
    return int(street), int(shop)


@pytest.mark.parametrize(
    ("available", "k", "expected"),
    [
        ((6, 7), 4, [(2, 2)]),
        ((40, 3), 4, [(2, 2)]),
        ((2, 2), 4, [(2, 2)]),
        ((1, 1), 2, [(1, 1)]),
        ((1, 9), 4, [(1, 3)]),
        ((9, 3), 8, [(5, 3)]),
        ((2, 9), 8, [(2, 6)]),
        ((3, 2), 5, [(3, 2)]),
        ((8, 20), 5, [(2, 3)]),
        ((4, 4), 5, [(2, 3), (3, 2)]),
        ((5, 0), 4, [(4, 0)]),
        ((0, 7), 3, [(0, 3)]),
        ((2, 1), 4, [(3, 1), (2, 2)]),  # one of the three photos twice
        ((0, 1), 4, [(0, 4)]),
    ],
)
def test_balanced_counts(available, k, expected):
    identity, domain = make_photos([available, (3, 3), (1, 2), (2, 0)])
    plan = make_plan((identity, domain), balance_domains=True, photos_per_identity=k)
    shown = set()
    for step in range(30):
        rows = plan.rows(step)
        shown.add(counts_by_domain(rows[identity[rows] == 10], domain))
    assert shown == set(expected)


@pytest.mark.slow
def test_balanced_counts_of_random_photos():
    rng = np.random.default_rng(0)
    for _ in range(60):
        k = int(rng.integers(2, 9))
        available = rng.integers(0, 12, (int(rng.integers(P, 12)), 2))
        available[:, 0] += available.sum(1) == 0
        identity, domain = make_photos([(int(street), int(shop)) for street, shop in available])
        plan = make_plan((identity, domain), 7, balance_domains=True, photos_per_identity=k)
        for step in range(3 * plan.steps_per_epoch):
            for rows in plan.rows(step).reshape(P, k):
                has = available[identity[rows[0]] // 10 - 1]
                assert set(identity[rows]) == {identity[rows[0]]}
                assert len(set(rows)) == min(k, has.sum())
                distinct = np.array(counts_by_domain(np.unique(rows), domain))
                fewer = int(has.argmin())
                if has[0] == has[1]:
                    assert distinct.min() == min(has[0], k // 2)
                else:
                    assert distinct[fewer] == min(has[fewer], k // 2)


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_balancing_changes_only_which_photos_of_an_identity_are_shown(photos, k):
    plain = make_plan(photos, photos_per_identity=k)
    balanced = make_plan(photos, balance_domains=True, photos_per_identity=k)
    assert balanced.steps_per_epoch == plain.steps_per_epoch
    np.testing.assert_array_equal(balanced.labels, plain.labels)
    for step in range(3 * plain.steps_per_epoch):
        rows, plain_rows = balanced.rows(step), plain.rows(step)
        np.testing.assert_array_equal(plain.labels[rows], plain.labels[plain_rows])
        if k == 1:
            np.testing.assert_array_equal(rows, plain_rows)


def test_balanced_groups_go_through_each_domain_before_they_repeat():
    photos = make_photos([(6, 10)] * P)  # four groups each, so that no batch needs fillers
    identity, domain = photos
    plan = make_plan(photos, balance_domains=True)
    assert plan.steps_per_epoch == 4
    for epoch in range(5):
        shown = np.bincount(np.concatenate(epoch_rows(plan, epoch)), minlength=len(identity))
        assert set(shown[domain == 0]) == {1, 2}  # eight places for six photos
        assert set(shown[domain == 1]) == {0, 1}  # eight places for ten
