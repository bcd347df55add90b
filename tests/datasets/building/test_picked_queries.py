from fashion_jax.datasets.building.plan import PlannedItem, pick_queries
from fashion_jax.datasets.records import Domain

ITEMS = [
    PlannedItem(
        photo_id=f"{product}/{number}", category="hats", identity=(product,), domain=Domain.SHOP
    )
    for product in ("a", "b", "c")
    for number in range(10)
]
PHOTOS = {item.photo_id for item in ITEMS}


def pick(photos=PHOTOS, seed=0, items=ITEMS):
    queries, others = pick_queries(items, lambda item: item.identity, photos, seed)
    return [item.photo_id for item in queries], [item.photo_id for item in others]


def test_one_of_each_group_and_all_others():
    queries, others = pick()
    assert [photo[0] for photo in queries] == ["a", "b", "c"]
    assert len(others) == 27
    assert {*queries, *others} == PHOTOS


def test_pick_does_not_depend_on_the_order():
    assert set(pick(items=ITEMS[::-1])[0]) == set(pick()[0])


def test_pick_depends_on_the_seed():
    assert len({tuple(pick(seed=seed)[0]) for seed in range(5)}) > 1


def test_photo_that_is_there_goes_first():
    present = {"a/7", "b/1", "b/2"}
    queries, _ = pick(photos=present)
    assert queries[0] == "a/7"
    assert queries[1] in present
    # Of the third nothing is there; it has a query all the same, which is counted as missing.
    assert queries[2].startswith("c/")
