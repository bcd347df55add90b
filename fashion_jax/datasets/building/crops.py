"""From a raw photo and the items on it to what is stored of them."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box, crop, fit_box
from fashion_jax.datasets.building.options import option
from fashion_jax.datasets.building.plan import Item, PhotoSource, ScalesBoxes
from fashion_jax.datasets.building.tally import MISSING, USABLE, WITHOUT_SCALE, Tally
from fashion_jax.datasets.photos import UndecodablePhotoError, encode_jpeg, shrink

_ITEMS_A_SHARD = 2048  # a few hundred files for the largest dataset


@dataclasses.dataclass(frozen=True)
class CropOptions:
    """How a crop is stored.

    Attributes:
        margin: added on each side of a box, as a fraction of the box.
        longest_side: of the stored crop, in pixels; smaller crops keep their size.
        jpeg_quality: 1..100.
    """

    margin: float = option(0.0)
    longest_side: int = option(512, least=1)
    jpeg_quality: int = option(95, least=1, most=100)


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an item is on its photo, in pixels of the photo as it is loaded.

    Attributes:
        box: as the raw dataset has it; `None` if there is none, or its scale is not known.
        cut: whole pixels inside the photo that are cut out, the margin included; `None` where the
            whole photo is taken.
        defect: what was wrong with the box, if anything.
    """

    box: Box | None
    cut: Box | None
    defect: str | None


@dataclasses.dataclass(frozen=True)
class StoredItem:
    """An item of a usable photo.

    Attributes:
        item: as planned.
        jpeg: the crop; empty if it was not asked for.
        box_defect: what was wrong with its box, if anything.
    """

    item: Item
    jpeg: bytes
    box_defect: str | None


@dataclasses.dataclass(frozen=True)
class PhotoResult:
    """What became of a photo.

    Attributes:
        photo_id: its name.
        categories: of the items on it.
        items: how many there are.
        outcome: one of `PHOTO_OUTCOMES`.
        stored: its items; none if it is not usable.
    """

    photo_id: str
    categories: tuple[str, ...]
    items: int
    outcome: str
    stored: tuple[StoredItem, ...] = ()

    def count(self, tally: Tally) -> None:
        """Takes down the photo and its boxes."""
        for category in self.categories:
            tally.add_photo(self.photo_id, category, self.outcome)
        for each in self.stored:
            if each.box_defect is not None:
                tally.add_box_defect(self.photo_id, each.item.category, each.box_defect)


def by_photo(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Groups of neighbouring items on the same photo."""
    for _, group in itertools.groupby(items, key=lambda item: item.photo_id):
        yield list(group)


def shards(items: Iterable[Item]) -> list[list[Item]]:
    """Divides items into shards; all items of a photo stay together."""
    divided: list[list[Item]] = [[]]
    for group in by_photo(items):
        if len(divided[-1]) >= _ITEMS_A_SHARD:
            divided.append([])
        divided[-1].extend(group)
    return divided


def process_photo(
    items: Sequence[Item], photos: PhotoSource, options: CropOptions, *, encode: bool
) -> PhotoResult:
    """Decodes a photo once and cuts out all items on it.

    Args:
        items: at least one, all on the same photo.
        photos: where it comes from.
        options: how crops are stored.
        encode: whether to make the JPEGs; a check needs none.
    """
    photo_id = items[0].photo_id
    categories = tuple(dict.fromkeys(item.category for item in items))
    if photo_id not in photos:
        return PhotoResult(photo_id, categories, len(items), MISSING)
    try:
        image = photos.load(photo_id)
    except UndecodablePhotoError as error:
        return PhotoResult(photo_id, categories, len(items), error.kind)
    stored = tuple(_store(image, item, photos, options, encode) for item in items)
    return PhotoResult(photo_id, categories, len(items), USABLE, stored)


def _store(
    image: UInt8[np.ndarray, "height width 3"],
    item: Item,
    photos: PhotoSource,
    options: CropOptions,
    encode: bool,
) -> StoredItem:
    height, width = image.shape[:2]
    place = locate(item, photos, height, width, options.margin)
    if not encode:
        return StoredItem(item, b"", place.defect)
    region = image if place.cut is None else crop(image, place.cut)
    jpeg = encode_jpeg(shrink(region, options.longest_side), options.jpeg_quality)
    return StoredItem(item, jpeg, place.defect)


def locate(item: Item, photos: PhotoSource, height: int, width: int, margin: float) -> Place:
    """Where an item is on its photo of `height`×`width` pixels, and what is cut out of it."""
    if item.box is None:
        return Place(None, None, item.box_defect)
    box: Box | None = item.box
    if isinstance(photos, ScalesBoxes):
        box = photos.scaled_box(item.photo_id, item.box, height, width)
    if box is None:
        return Place(None, None, WITHOUT_SCALE)
    fitted = fit_box(box, height, width, margin)
    return Place(box, fitted.box, fitted.defect)
