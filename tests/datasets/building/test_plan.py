import itertools

import pytest

from fashion_jax.datasets.building.crops import by_photo, shards
from fashion_jax.datasets.building.ordered import map_in_order
from fashion_jax.datasets.building.plan import PlannedItem, choose_validation, in_order
from fashion_jax.datasets.records import Domain


def identities(count):
    return [("hats", str(number)) for number in range(count)]


def item(photo, product="1"):
    return PlannedItem(photo_id=photo, category="hats", identity=(product,), domain=Domain.SHOP)


def test_validation_takes_its_share_of_the_identities():
    assert len(choose_validation(identities(200), 0.05, seed=0)) == 10


def test_validation_does_not_depend_on_the_order():
    chosen = choose_validation(identities(100), 0.1, seed=0)
    assert choose_validation(reversed(identities(100)), 0.1, seed=0) == chosen


def test_validation_depends_on_the_seed():
    first, second = (choose_validation(identities(100), 0.1, seed=seed) for seed in (0, 1))
    assert first != second


def test_validation_changes_little_when_an_identity_is_missing():
    chosen = choose_validation(identities(100), 0.1, seed=0)
    less = choose_validation(identities(99), 0.1, seed=0)
    assert len(chosen & less) >= 9


@pytest.mark.parametrize(
    ("count", "fraction", "chosen"), [(0, 0.05, 0), (1, 0.05, 0), (2, 0.05, 1), (9, 0.0, 0)]
)
def test_validation_of_few_identities(count, fraction, chosen):
    assert len(choose_validation(identities(count), fraction, seed=0)) == chosen


def test_items_of_a_photo_are_neighbours():
    items = in_order([item("b", "2"), item("a", "2"), item("b", "1")])
    assert [[each.identity for each in group] for group in by_photo(items)] == [
        [("2",)],
        [("1",), ("2",)],
    ]


def test_shards_keep_the_order_and_all_items_of_a_photo():
    items = in_order([item(f"{number // 3:05d}", str(number)) for number in range(5000)])
    parts = shards(items)
    assert [each for part in parts for each in part] == items
    assert len(parts) == 3
    for left, right in itertools.pairwise(parts):
        assert left[-1].photo_id != right[0].photo_id


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_keep_the_order(threads):
    assert list(map_in_order(lambda x: x * x, range(100), threads)) == [x * x for x in range(100)]


def test_threads_take_only_a_few_inputs_ahead():
    taken = []

    def inputs():
        for number in range(1000):
            taken.append(number)
            yield number

    results = map_in_order(abs, inputs(), threads=2)
    next(results)
    assert len(taken) <= 9
    results.close()


def test_error_in_a_thread_comes_out():
    with pytest.raises(ZeroDivisionError):
        list(map_in_order(lambda x: 1 // x, [1, 0, 1], threads=2))
