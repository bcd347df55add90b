"""Plan of a build: the photos to write, their boxes, and their splits."""

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Container, Hashable, Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.records import NO_CAMERA, Domain

Identity = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class PlannedItem:
    """One record to write: a photo of a product.

    Attributes:
        photo_id: the raw dataset's name for the photo.
        category: kind of garment.
        identity: the raw dataset's name for the product, unique in the dataset; in several parts
            where one is not unique, such as (category, product).
        domain: street or shop.
        box: box around the product; `None` for the whole photo.
        box_defect: defect of a box that could not even be read; see `BOX_DEFECTS`.
        camera: number of the camera, or `NO_CAMERA`.
    """

    photo_id: str
    category: str
    identity: Identity
    domain: Domain
    box: Box | None = None
    box_defect: str | None = None
    camera: int = NO_CAMERA


@runtime_checkable
class PhotoSource(Protocol):
    """Source of photos, such as `PhotoTree`. Used from several threads."""

    def __contains__(self, photo_id: object) -> bool:
        """Whether the photo exists, decodable or not."""

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read RGB pixels, or raise an `UndecodablePhotoError`."""


@runtime_checkable
class ScalesBoxes(Protocol):
    """A `PhotoSource` whose boxes are in pixels of another copy of each photo."""

    def scaled_box(self, photo_id: str, box: Box, height: int, width: int) -> Box | None:
        """Scale a box to the photo as loaded; `None` if the size of the other copy is unknown.

        Args:
            photo_id: name of the photo.
            box: box from the dataset's lists.
            height: height of the photo as loaded, in pixels.
            width: width of the photo as loaded, in pixels.
        """


@dataclasses.dataclass(frozen=True)
class BuildPlan:
    """Everything a builder knows before the first photo is opened.

    Attributes:
        splits: items by split, in the order of their records; a missing split is empty.
        photos: source of the photos.
        categories: names of all categories, including those without items.
        problems: names of defects in the raw dataset's lists, by kind, for the report.
        listed: sizes counted in the raw copy's lists, by the names of the builder's `PUBLISHED`.
        found: sizes as in `listed`, of photos that exist in the raw copy; empty if unknown.
    """

    splits: Mapping[str, Sequence[PlannedItem]]
    photos: PhotoSource
    categories: Sequence[str]
    problems: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    listed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    found: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def items(self, split: str) -> Sequence[PlannedItem]:
        """Return the items of a split."""
        return self.splits.get(split, ())


def in_order(items: Iterable[PlannedItem]) -> list[PlannedItem]:
    """Sort items by photo, so that a photo of many items is read once."""
    return sorted(items, key=lambda item: (item.photo_id, item.identity))


def choose_validation(identities: Iterable[Identity], fraction: float, seed: int) -> set[Identity]:
    """Choose validation identities by a seeded hash of their names.

    A product missing from another raw copy changes the choice of others as little as possible. At
    least one identity is chosen, unless the fraction is 0 or fewer than two are given.

    Args:
        identities: training identities to choose from.
        fraction: fraction to choose, in 0..1.
        seed: seed of the choice.
    """
    ranked = sorted(set(identities), key=lambda identity: _hash(seed, identity))
    wanted = max(1, round(fraction * len(ranked))) if fraction and len(ranked) > 1 else 0
    return set(ranked[:wanted])


def pick_queries(
    items: Iterable[PlannedItem],
    group: Callable[[PlannedItem], Hashable],
    photos: Container[str],
    seed: int,
) -> tuple[list[PlannedItem], list[PlannedItem]]:
    """Pick one query per group by a seeded hash of its photo's name.

    For datasets whose photos all have one domain.

    Args:
        items: items of the validation identities.
        group: key of an item's group, such as its identity.
        photos: existing photos; a missing one is picked only from a group without any.
        seed: seed of the choice.

    Returns:
        The queries, and all other items.
    """
    groups: dict[Hashable, list[PlannedItem]] = collections.defaultdict(list)
    for item in items:
        groups[group(item)].append(item)
    queries: list[PlannedItem] = []
    others: list[PlannedItem] = []
    for members in groups.values():
        query = min(
            members, key=lambda item: (item.photo_id not in photos, _hash(seed, item.photo_id))
        )
        queries.append(query)
        others.extend(item for item in members if item is not query)
    return queries, others


def _hash(seed: int, name: Identity | str) -> bytes:
    return hashlib.sha256(repr((seed, name)).encode()).digest()
