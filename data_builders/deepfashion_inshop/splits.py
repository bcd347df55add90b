"""Splits of In-Shop's photos."""

import collections
from collections.abc import Container, Iterable, Iterator, Sequence

from fashion_jax.datasets.building.plan import (
    BuildPlan,
    Identity,
    PlannedItem,
    choose_validation,
    in_order,
    pick_queries,
)
from fashion_jax.datasets.building.raw_copy import PhotoTree

from .joined_lists import JoinedLists
from .lists import PartitionRow


def plan_build(lists: JoinedLists, photos: PhotoTree, fraction: float, seed: int) -> BuildPlan:
    """Plan the records of the partition, with validation products taken from training.

    Args:
        lists: both lists.
        photos: existing photos; only products with two of them can become validation identities.
        fraction: fraction of such identities to take for validation.
        seed: seed of the choice, and of the query picked from each of them.
    """
    rows = lists.rows.values()
    found = [row for row in rows if row.photo in photos]
    present = {row.photo for row in found}
    train, query, gallery = (lists.items(status) for status in ("train", "query", "gallery"))
    leaks = _identities(train) & _identities([*query, *gallery])
    train = [item for item in train if item.identity not in leaks]
    validation = choose_validation(_with_two_photos(train, present), fraction, seed)
    val_query, val_gallery = pick_queries(
        (item for item in train if item.identity in validation), _identity, present, seed
    )
    splits = {
        "train": [item for item in train if item.identity not in validation],
        "query": query,
        "gallery": gallery,
        "val_query": val_query,
        "val_gallery": val_gallery,
    }
    return BuildPlan(
        splits={name: in_order(items) for name, items in splits.items()},
        photos=photos,
        categories=sorted({row.category for row in rows}),
        problems={
            **lists.problems,
            "identity_in_train_and_test": ["/".join(identity) for identity in leaks],
            "identity_without_photos": list(_without_photos(splits.values(), present)),
        },
        listed=_sizes(rows),
        found=_sizes(found),
    )


def _sizes(rows: Iterable[PartitionRow]) -> dict[str, int]:
    """Count photos and items, by the names of the published sizes."""
    photos = collections.Counter(row.status for row in rows)
    items: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        items[row.status].add(row.item)
    test = items["query"] | items["gallery"]
    return {
        "photos": photos.total(),
        "items": len(items["train"] | test),
        "train_photos": photos["train"],
        "train_items": len(items["train"]),
        "query_photos": photos["query"],
        "gallery_photos": photos["gallery"],
        "test_items": len(test),
    }


def _identity(item: PlannedItem) -> Identity:
    return item.identity


def _identities(items: Iterable[PlannedItem]) -> set[Identity]:
    return {item.identity for item in items}


def _with_two_photos(items: Iterable[PlannedItem], photos: Container[str]) -> list[Identity]:
    found = collections.Counter(item.identity for item in items if item.photo_id in photos)
    return [identity for identity, count in found.items() if count >= 2]


def _without_photos(
    splits: Iterable[Sequence[PlannedItem]], photos: Container[str]
) -> Iterator[str]:
    everything = [item for items in splits for item in items]
    present = _identities(item for item in everything if item.photo_id in photos)
    for identity in _identities(everything) - present:
        yield "/".join(identity)
