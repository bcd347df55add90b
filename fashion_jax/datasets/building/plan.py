"""What a builder is about to write: which photos, cut how, into which split."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.records import NO_CAMERA, Domain

Identity = tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One record to be: a photo of a product.

    Attributes:
        photo_id: the raw dataset's own name of the photo.
        category: kind of garment.
        identity: the raw dataset's own name of the product, unique in the dataset; in parts where
            one alone is not, such as (category, product).
        domain: street or shop.
        box: where the product is; `None` for the whole photo.
        box_defect: why a box that the raw dataset has was not even read.
        camera: the camera's number, or `NO_CAMERA`.
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
    """Where photos come from: a folder, or a drawing hand. Used from several threads."""

    def __contains__(self, photo_id: object) -> bool:
        """Whether there is such a photo, decodable or not."""

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """RGB pixels, or an `UndecodablePhotoError`."""


@runtime_checkable
class ScalesBoxes(Protocol):
    """A `PhotoSource` whose boxes are given in the pixels of another copy of each photo."""

    def scaled_box(self, photo_id: str, box: Box, height: int, width: int) -> Box | None:
        """The box on the photo as it is loaded; `None` where the other copy's size is not known.

        Args:
            photo_id: the photo's name.
            box: as the dataset's lists give it.
            height: of the photo as it is loaded, in pixels.
            width: see `height`.
        """


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that a builder knows before it opens the first photo.

    Attributes:
        splits: items by split, in the order of `SPLITS`.
        photos: where their photos come from.
        categories: names of all categories, those without any item included.
        problems: names of what is wrong with the raw dataset's lists, by kind, for the report.
        listed: sizes counted in the raw copy's lists, by the names of the builder's `PUBLISHED`.
        found: how much of `listed` has its photos in the raw copy, where that is known.
    """

    splits: Mapping[str, Sequence[Item]]
    photos: PhotoSource
    categories: Sequence[str]
    problems: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    listed: Mapping[str, int] = dataclasses.field(default_factory=dict)
    found: Mapping[str, int] = dataclasses.field(default_factory=dict)


def in_order(items: Iterable[Item]) -> list[Item]:
    """The order of records in a split: by photo, so that a photo of many items is read once."""
    return sorted(items, key=lambda item: (item.photo_id, item.identity))


def choose_validation(identities: Iterable[Identity], fraction: float, seed: int) -> set[Identity]:
    """Picks validation identities by a seeded hash of their names.

    A product that is missing from another copy of the raw dataset moves the choice of others as
    little as possible. At least one identity is chosen, unless the fraction is 0 or there are
    fewer than two.

    Args:
        identities: training identities to choose from.
        fraction: of them, in 0..1.
        seed: another seed chooses others.
    """
    ranked = sorted(set(identities), key=lambda identity: _hash(seed, identity))
    wanted = max(1, round(fraction * len(ranked))) if fraction and len(ranked) > 1 else 0
    return set(ranked[:wanted])


def _hash(seed: int, identity: Identity) -> bytes:
    return hashlib.sha256(repr((seed, identity)).encode()).digest()
