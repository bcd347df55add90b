"""Which photo of In-Shop goes into which split."""

import collections
import dataclasses
from collections.abc import Container, Iterable, Iterator, Sequence

from fashion_jax.datasets.building.picked_queries import pick_queries
from fashion_jax.datasets.building.plan import Identity, Item, choose_validation, in_order

from .joined_lists import JoinedLists
from .lists import Row


@dataclasses.dataclass(frozen=True)
class Division:
    """Items by split, and what was wrong with the lists.

    Attributes:
        splits: items by split, in the order of records.
        problems: names by kind.
    """

    splits: dict[str, list[Item]]
    problems: dict[str, list[str]]


def divide(lists: JoinedLists, photos: Container[str], fraction: float, seed: int) -> Division:
    """Divides the photos as the partition says, and takes validation products from the training.

    Args:
        lists: the lists.
        photos: only products with two photos in there can be validation identities.
        fraction: of such identities, taken for validation.
        seed: of that choice, and of the photo of each that is the query.
    """
    train, query, gallery = (lists.items(status) for status in ("train", "query", "gallery"))
    leaks = _identities(train) & _identities([*query, *gallery])
    train = [item for item in train if item.identity not in leaks]
    validation = choose_validation(_with_two_photos(train, photos), fraction, seed)
    val_query, val_gallery = pick_queries(
        (item for item in train if item.identity in validation), _identity, photos, seed
    )
    splits = {
        "train": [item for item in train if item.identity not in validation],
        "query": query,
        "gallery": gallery,
        "val_query": val_query,
        "val_gallery": val_gallery,
    }
    problems = {
        **lists.problems,
        "identity_in_train_and_test": ["/".join(identity) for identity in leaks],
        "identity_without_photos": list(_without_photos(splits.values(), photos)),
    }
    return Division({name: in_order(items) for name, items in splits.items()}, problems)


def sizes(rows: Iterable[Row]) -> dict[str, int]:
    """How many photos and items there are, by the names of the published sizes."""
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


def _identity(item: Item) -> Identity:
    return item.identity


def _identities(items: Iterable[Item]) -> set[Identity]:
    return {item.identity for item in items}


def _with_two_photos(items: Iterable[Item], photos: Container[str]) -> list[Identity]:
    found = collections.Counter(item.identity for item in items if item.photo_id in photos)
    return [identity for identity, count in found.items() if count >= 2]


def _without_photos(splits: Iterable[Sequence[Item]], photos: Container[str]) -> Iterator[str]:
    everything = [item for items in splits for item in items]
    present = _identities(item for item in everything if item.photo_id in photos)
    for identity in _identities(everything) - present:
        yield "/".join(identity)
