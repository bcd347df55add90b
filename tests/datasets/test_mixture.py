"""Several datasets as one: quotas, columns, and batches that hold each dataset's share."""

import pickle

import numpy as np
import pytest

from fashion_jax.config import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.datasets.identity_batches import IdentityBatchPlan
from fashion_jax.datasets.loader import TrainingBatches, iterate
from fashion_jax.datasets.mixture import DatasetMixture, MixtureSplit, quotas
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.hosts import Host
from tests.datasets.fakes import FakeSplit

K = 4


@pytest.mark.parametrize(
    ("places", "weights", "expected"),
    [
        (16, (2, 1), (11, 5)),  # 10.67, 5.33
        (10, (1, 1, 1), (4, 3, 3)),  # 3.33 each: of equals the first
        (6, (0.1, 0.3), (2, 4)),  # 1.5, 4.5, and not a float's 1.4999
        (7, (1, 3, 3), (1, 3, 3)),
        (8, (98, 1, 1), (6, 1, 1)),  # the small ones get one, the rest is the first one's
        (4, (0.97, 0.01, 0.01, 0.01), (1, 1, 1, 1)),
        (5, (10, 2.6, 0.1, 0.1), (2, 1, 1, 1)),  # 1.02 is due, until the others got theirs
        (9, (7,), (9,)),
    ],
)
def test_quotas(places, weights, expected):
    assert quotas(places, [float(weight) for weight in weights]) == expected
    assert quotas(places, [10.0 * weight for weight in weights]) == expected


def test_quotas_are_whole_near_their_share_and_never_nothing():
    rng = np.random.default_rng(0)
    for _ in range(300):
        weights = rng.exponential(size=rng.integers(1, 7)).tolist()
        places = int(rng.integers(len(weights), 40))
        given = quotas(places, weights)
        assert sum(given) == places
        assert min(given) >= 1
        by_weight = [given[number] for number in np.argsort(weights)]
        assert by_weight == sorted(by_weight)


def test_fewer_places_than_datasets_is_an_error():
    with pytest.raises(FashionJaxError, match=r"2 identities .* each of 3 datasets; raise"):
        quotas(2, (1.0, 1.0, 1.0))


@pytest.fixture
def parts() -> dict[str, FakeSplit]:
    """Three datasets with 23, 9 and 5 identities of 3, 10 and 2 photos."""
    return {
        "large": FakeSplit("train", 23, street=2, shop=1),
        "middle": FakeSplit("train", 9, street=4, shop=6),
        "small": FakeSplit("train", 5, street=1, shop=1),
    }


def dataset_of(rows: np.ndarray) -> np.ndarray:
    return np.searchsorted([69, 69 + 90], rows, side="right")


def make_plan(parts, seed=7, weights=(4.0, 3.0, 1.0)) -> DatasetMixture:
    return DatasetMixture(parts, 8, K, seed, weights)


def epoch_rows(plan: DatasetMixture, epoch: int) -> np.ndarray:
    steps = range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch)
    return np.concatenate([plan.rows(step) for step in steps])


def test_split_holds_all_columns_and_photos(parts):
    split = MixtureSplit(list(parts.values()))
    assert len(split) == 69 + 90 + 10
    assert split.name == "train"
    large, middle, small = parts.values()
    np.testing.assert_array_equal(split.identity[:69], large.identity)
    np.testing.assert_array_equal(split.identity[69:159], middle.identity + 23)
    np.testing.assert_array_equal(split.identity[159:], small.identity + 32)
    for column in ("domain", "category", "photo_id", "camera"):
        expected = np.concatenate([getattr(part, column) for part in parts.values()])
        np.testing.assert_array_equal(getattr(split, column), expected)
    for row, part, own_row in (
        (68, large, 68),
        (69, middle, 0),
        (158, middle, 89),
        (168, small, 9),
    ):
        assert split.image_bytes(row) == part.image_bytes(own_row)


def test_split_can_be_sent_to_a_worker(parts):
    split = MixtureSplit(list(parts.values()))
    again = pickle.loads(pickle.dumps(split))
    assert again.image_bytes(100) == split.image_bytes(100)


@pytest.mark.parametrize("name", ["large", "middle"])
def test_one_dataset_has_the_batches_that_it_has_alone(parts, name):
    split = parts[name]
    alone = IdentityBatchPlan(split.identity, split.domain, 4, K, 7)
    joined = DatasetMixture({name: split}, 4, K, 7)
    np.testing.assert_array_equal(joined.labels, alone.labels)
    assert joined.labels.dtype == alone.labels.dtype
    assert joined.num_identities == alone.num_identities
    assert joined.steps_per_epoch == alone.steps_per_epoch
    for step in range(3 * alone.steps_per_epoch + 1):
        np.testing.assert_array_equal(joined.rows(step), alone.rows(step))


def test_every_batch_holds_the_quotas_of_distinct_identities(parts):
    plan = make_plan(parts)
    assert plan.quotas == (4, 3, 1)
    identity = MixtureSplit(list(parts.values())).identity
    for step in range(40):
        rows = plan.rows(step).reshape(8, K)
        assert (identity[rows] == identity[rows[:, :1]]).all()
        assert len(set(identity[rows[:, 0]])) == 8
        assert np.bincount(dataset_of(rows[:, 0])).tolist() == [4, 3, 1]
        np.testing.assert_array_equal(plan.labels[rows], identity[rows])


def test_identities_stay_apart(parts):
    plan = make_plan(parts)
    assert plan.num_identities == 23 + 9 + 5
    assert set(plan.labels) == set(range(37))
    classes = [set(plan.labels[dataset_of(np.arange(169)) == number]) for number in range(3)]
    assert [len(each) for each in classes] == [23, 9, 5]


def test_every_identity_of_every_dataset_is_in_every_epoch(parts):
    plan = make_plan(parts)
    assert plan.steps_per_epoch == 6  # the large one's 23 groups of photos, four a step
    for epoch in range(6):
        assert set(plan.labels[epoch_rows(plan, epoch)]) == set(range(37))


def test_balanced_domains_hold_in_every_dataset(parts):
    split = MixtureSplit(list(parts.values()))
    plan = DatasetMixture(parts, 8, K, 7, (4.0, 3.0, 1.0), balance_domains=True)
    plain = make_plan(parts)
    assert plan.steps_per_epoch == plain.steps_per_epoch
    for step in range(2 * plan.steps_per_epoch):
        rows = plan.rows(step).reshape(8, K)
        np.testing.assert_array_equal(split.identity[rows[:, 0]], plan.labels[rows[:, 0]])
        np.testing.assert_array_equal(plan.labels[rows.ravel()], plain.labels[plain.rows(step)])
        middle = rows[4:7]  # four street and six shop photos each
        assert (split.domain[middle].sum(axis=1) == K // 2).all()


def test_a_short_dataset_goes_round_again_with_its_next_own_epoch(parts):
    plan = make_plan(parts, weights=(4.0, 2.0, 2.0))
    assert plan.steps_per_epoch == 9  # the middle one's 18 groups of photos, two a step
    for epoch in range(3):
        labels = plan.labels[epoch_rows(plan, epoch)].reshape(3, 3, 8, K)[:, :, 6:, 0]
        for round_of_three_steps in labels:  # the small one's 5 groups of photos, two a step
            assert set(round_of_three_steps.ravel()) == set(range(32, 37))


def test_batch_depends_on_seed_and_step_only(parts):
    plan = make_plan(parts)
    forward = [plan.rows(step) for step in range(20)]
    again = make_plan(parts)
    for step in reversed(range(20)):
        np.testing.assert_array_equal(again.rows(step), forward[step])
    other = make_plan(parts, seed=8)
    assert any(not np.array_equal(other.rows(step), forward[step]) for step in range(20))


def test_epochs_differ(parts):
    plan = make_plan(parts)
    for number in range(3):
        first, second = (epoch_rows(plan, epoch) for epoch in (0, 1))
        mine = [rows[dataset_of(rows) == number] for rows in (first, second)]
        assert not np.array_equal(*mine)


def test_equal_datasets_are_not_shuffled_alike():
    plan = DatasetMixture({name: FakeSplit("train", 12) for name in "ab"}, 4, K, 7)
    rows = epoch_rows(plan, 0).reshape(-1, 2, 2 * K)
    assert not np.array_equal(rows[:, 0], rows[:, 1] - 48)


def test_without_weights_the_numbers_of_identities_are_the_shares():
    parts = {"a": FakeSplit("train", 12), "b": FakeSplit("train", 6)}
    assert DatasetMixture(parts, 6, K, 0).quotas == (4, 2)
    assert DatasetMixture(parts, 6, K, 0, (1.0, 1.0)).quotas == (3, 3)


def test_too_few_identities_names_the_dataset(parts):
    with pytest.raises(
        FashionJaxError, match=r"small: a batch takes 6 .* has 5; .*data.dataset_weights"
    ):
        DatasetMixture(parts, 8, K, 0, (1.0, 1.0, 20.0))
    with pytest.raises(FashionJaxError, match=r"^a batch takes 8 .* has 5; [^,]*$"):
        DatasetMixture({"small": parts["small"]}, 8, K, 0)


def training(parts, host=None) -> TrainingBatches:
    split = MixtureSplit(list(parts.values()))
    image = ImageConfig(16, 8)
    return TrainingBatches(split, make_plan(parts), image, AugmentConfig(), 3, 5, host or Host())


@pytest.mark.slow
def test_same_batches_from_workers_and_hosts(parts):
    expected = list(iterate(training(parts), DataConfig()))
    from_workers = list(iterate(training(parts), DataConfig(workers=2)))
    hosts = [list(iterate(training(parts, Host(index, 2)), DataConfig())) for index in range(2)]
    for step, batch in enumerate(expected):
        for name, values in batch.items():
            np.testing.assert_array_equal(from_workers[step][name], values)
            halves = np.concatenate([hosts[0][step][name], hosts[1][step][name]])
            np.testing.assert_array_equal(halves, values)
