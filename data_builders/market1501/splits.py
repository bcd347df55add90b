"""Splits of Market-1501's photos."""

import collections
from collections.abc import Iterable

from fashion_jax.datasets.building.plan import (
    BuildPlan,
    Identity,
    PlannedItem,
    choose_validation,
    in_order,
    pick_queries,
)
from fashion_jax.datasets.records import Domain

from .layout import DISTRACTOR, JUNK, QUERY, TEST, TRAIN, NamedPhoto, PhotoListing

CATEGORY = "person"

_ORDER = (TRAIN, QUERY, TEST)


def plan_build(photos: PhotoListing, fraction: float, seed: int) -> BuildPlan:
    """Plan the records of all photos.

    Args:
        photos: photos of all folders.
        fraction: fraction of the training identities with two photos by each of two cameras to
            take for validation: each of their queries has a match by another camera.
        seed: seed of the choice, and of the query picked from each camera.
    """
    train, query, test = ([*map(_item, _usable(photos.folders[name]))] for name in _ORDER)
    distractors = [*map(_distractor, _of_person(photos.folders[TEST], DISTRACTOR))]
    leaks = {item.identity for item in train} & {item.identity for item in (*query, *test)}
    train = [item for item in train if item.identity not in leaks]
    validation = choose_validation(_twice_by_two_cameras(train), fraction, seed)
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
    return BuildPlan(
        splits={name: in_order(items) for name, items in splits.items()},
        photos=photos.source,
        categories=[CATEGORY],
        problems={
            **_left_out(photos),
            "identity_in_train_and_test": ["/".join(identity) for identity in leaks],
        },
        listed=_sizes(photos),
    )


def _sizes(photos: PhotoListing) -> dict[str, int]:
    """Count photos and persons, by the names of the published sizes."""
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


def _item(photo: NamedPhoto) -> PlannedItem:
    return _make_item(photo, (f"{photo.person:04d}",))


def _distractor(photo: NamedPhoto) -> PlannedItem:
    """Make an item of a false detection: a separate identity, without a query."""
    return _make_item(photo, ("distractor", photo.photo_id))


def _make_item(photo: NamedPhoto, identity: Identity) -> PlannedItem:
    return PlannedItem(photo.photo_id, CATEGORY, identity, Domain.STREET, camera=photo.camera)


def _usable(photos: Iterable[NamedPhoto]) -> list[NamedPhoto]:
    return [photo for photo in photos if photo.person not in (JUNK, DISTRACTOR)]


def _of_person(photos: Iterable[NamedPhoto], person: int) -> list[NamedPhoto]:
    return [photo for photo in photos if photo.person == person]


def _count_persons(photos: Iterable[NamedPhoto]) -> int:
    return len({photo.person for photo in _usable(photos)})


def _left_out(photos: PhotoListing) -> dict[str, list[str]]:
    everything = [photo for of_folder in photos.folders.values() for photo in of_folder]
    elsewhere = [*photos.folders[TRAIN], *photos.folders[QUERY]]
    return {
        "junk": [photo.photo_id for photo in _of_person(everything, JUNK)],
        "distractor_outside_the_test": [
            photo.photo_id for photo in _of_person(elsewhere, DISTRACTOR)
        ],
        "misnamed": photos.misnamed,
    }


def _twice_by_two_cameras(items: Iterable[PlannedItem]) -> list[Identity]:
    """Find the identities with at least two photos by each of two cameras."""
    photos = collections.Counter((item.identity, item.camera) for item in items)
    cameras = collections.Counter(identity for (identity, _), count in photos.items() if count > 1)
    return [identity for identity, count in cameras.items() if count > 1]
