"""Which photo of Market-1501 goes into which split."""

import collections
import dataclasses
from collections.abc import Iterable

from fashion_jax.datasets.building.picked_queries import pick_queries
from fashion_jax.datasets.building.plan import Identity, Item, choose_validation, in_order
from fashion_jax.datasets.records import Domain

from .layout import DISTRACTOR, JUNK, QUERY, TEST, TRAIN, Photo, Photos

CATEGORY = "person"

_ORDER = (TRAIN, QUERY, TEST)


@dataclasses.dataclass(frozen=True)
class Division:
    """Items by split, and what was left out.

    Attributes:
        splits: items by split, in the order of records.
        problems: photo ids, or identities, by kind.
    """

    splits: dict[str, list[Item]]
    problems: dict[str, list[str]]


def divide(photos: Photos, fraction: float, seed: int) -> Division:
    """Divides all photos into splits.

    Args:
        photos: of all folders.
        fraction: of the training identities that two cameras took twice, taken for validation:
            each of their queries has a match by another camera.
        seed: of that choice, and of the photo of each camera that is the query.
    """
    train, query, test = ([*map(_item, _usable(photos.folders[name]))] for name in _ORDER)
    distractors = [*map(_distractor, _of_person(photos.folders[TEST], DISTRACTOR))]
    leaks = {item.identity for item in train} & {item.identity for item in (*query, *test)}
    train = [item for item in train if item.identity not in leaks]
    validation = choose_validation(_taken_twice_by_two(train), fraction, seed)
    val_query, val_gallery = pick_queries(
        (item for item in train if item.identity in validation),
        lambda item: (item.identity, item.camera),
        photos.source,
        seed,
    )
    splits = {
        "train": [item for item in train if item.identity not in validation],
        "query": query,
        "gallery": test + distractors,
        "val_query": val_query,
        "val_gallery": val_gallery,
    }
    problems = {**_left_out(photos), "identity_in_train_and_test": ["/".join(x) for x in leaks]}
    return Division({name: in_order(items) for name, items in splits.items()}, problems)


def sizes(photos: Photos) -> dict[str, int]:
    """How many photos and persons there are, by the names of the published sizes."""
    train, query, test = (photos.folders[name] for name in _ORDER)
    return {
        "boxes": len(train) + len(test),
        "identities": _count_persons([*train, *query, *test]),
        "train_photos": len(train),
        "train_identities": _count_persons(train),
        "query_photos": len(query),
        "query_identities": _count_persons(query),
        "test_photos": len(test),
        "test_photos_without_junk": len(test) - len(_of_person(test, JUNK)),
        "distractors": len(_of_person(test, DISTRACTOR)),
    }


def _item(photo: Photo) -> Item:
    return _make_item(photo, (f"{photo.person:04d}",))


def _distractor(photo: Photo) -> Item:
    """A part of a person, or none at all: an identity of its own that no query asks for."""
    return _make_item(photo, ("distractor", photo.photo_id))


def _make_item(photo: Photo, identity: Identity) -> Item:
    return Item(photo.photo_id, CATEGORY, identity, Domain.STREET, camera=photo.camera)


def _usable(photos: Iterable[Photo]) -> list[Photo]:
    return [photo for photo in photos if photo.person not in (JUNK, DISTRACTOR)]


def _of_person(photos: Iterable[Photo], person: int) -> list[Photo]:
    return [photo for photo in photos if photo.person == person]


def _count_persons(photos: Iterable[Photo]) -> int:
    return len({photo.person for photo in _usable(photos)})


def _left_out(photos: Photos) -> dict[str, list[str]]:
    everything = [photo for of_folder in photos.folders.values() for photo in of_folder]
    elsewhere = [*photos.folders[TRAIN], *photos.folders[QUERY]]
    return {
        "junk": [photo.photo_id for photo in _of_person(everything, JUNK)],
        "distractor_outside_the_test": [
            photo.photo_id for photo in _of_person(elsewhere, DISTRACTOR)
        ],
        "misnamed": photos.misnamed,
    }


def _taken_twice_by_two(items: Iterable[Item]) -> list[Identity]:
    """Identities with two cameras that have two photos each."""
    photos = collections.Counter((item.identity, item.camera) for item in items)
    cameras = collections.Counter(identity for (identity, _), count in photos.items() if count > 1)
    return [identity for identity, count in cameras.items() if count > 1]
