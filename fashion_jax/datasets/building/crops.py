"""From a raw photo and the items on it to stored crops."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box, crop, fit_box
from fashion_jax.datasets.building.options import option
from fashion_jax.datasets.building.plan import PhotoSource, PlannedItem, ScalesBoxes
from fashion_jax.datasets.building.tally import (
    LEAST_SIDE,
    MISSING,
    TINY,
    USABLE,
    WITHOUT_SCALE,
    Tally,
)
from fashion_jax.datasets.duplicates.equal_pictures import picture_digest
from fashion_jax.datasets.photos import (
    LONGEST_SIDE,
    UndecodablePhotoError,
    collect_defects,
    encode_jpeg,
    shrink,
)

_ITEMS_A_SHARD = 2048  # a few hundred files for the largest dataset


@dataclasses.dataclass(frozen=True)
class CropOptions:
    """Format of stored crops.

    Attributes:
        margin: border added on each side of a box, as a fraction of the box.
        longest_side: longest side of the stored crop, in pixels; smaller crops keep their size.
        jpeg_quality: JPEG quality, 1..100.
    """

    margin: float = option(0.0)
    longest_side: int = option(512, least=1, most=LONGEST_SIDE)
    jpeg_quality: int = option(95, least=1, most=100)


@dataclasses.dataclass(frozen=True)
class ItemPlace:
    """Place of an item on its photo, in pixels of the photo as loaded.

    Attributes:
        box: box from the raw dataset; `None` without a box, or if its scale is unknown.
        cut: area to cut out, in whole pixels inside the photo, with the margin; `None` for the
            whole photo.
        defect: defect of the box, if any; one of `BOX_DEFECTS`.
    """

    box: Box | None
    cut: Box | None
    defect: str | None


@dataclasses.dataclass(frozen=True)
class StoredItem:
    """An item of a usable photo.

    Attributes:
        item: the planned item.
        jpeg: encoded crop; empty during a check.
        box_defect: defect of its box, if any; one of `BOX_DEFECTS`.
        reach: right and lower end of its box, as fractions of the photo; `None` without a box.
    """

    item: PlannedItem
    jpeg: bytes
    box_defect: str | None
    reach: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class PhotoResult:
    """Result of processing a photo.

    Attributes:
        items: planned items on the photo, at least one.
        outcome: one of `PHOTO_OUTCOMES`.
        stored: the same items, cut out; empty for an unusable photo.
        defects: defects in spite of which the photo is used, such as `LACKS_LAST_BYTES`.
        digest: hash of the photo's pixels; empty for an unusable photo.
    """

    items: Sequence[PlannedItem]
    outcome: str
    stored: Sequence[StoredItem] = ()
    defects: Sequence[str] = ()
    digest: bytes = b""

    def count(self, tally: Tally) -> None:
        """Count the photo, its defects and those of its boxes."""
        photo_id = self.items[0].photo_id
        for category in dict.fromkeys(item.category for item in self.items):
            tally.add_photo(photo_id, category, self.outcome)
        for defect in self.defects:
            tally.add_problem(defect, photo_id)
        products = {item.identity for item in self.items}
        if self.digest and len(products) == 1:
            tally.add_picture(photo_id, products.pop(), self.digest)
        for each in self.stored:
            if each.box_defect is not None:
                tally.add_box_defect(photo_id, each.item.category, each.box_defect)
            if each.reach is not None:
                tally.add_box_reach(photo_id, *each.reach)


def by_photo(items: Iterable[PlannedItem]) -> Iterator[list[PlannedItem]]:
    """Group consecutive items on the same photo."""
    for _, group in itertools.groupby(items, key=lambda item: item.photo_id):
        yield list(group)


def shards(items: Iterable[PlannedItem]) -> list[list[PlannedItem]]:
    """Divide items into shards; all items of a photo stay together."""
    divided: list[list[PlannedItem]] = [[]]
    for group in by_photo(items):
        if len(divided[-1]) >= _ITEMS_A_SHARD:
            divided.append([])
        divided[-1].extend(group)
    return divided


def process_photo(
    items: Sequence[PlannedItem], photos: PhotoSource, options: CropOptions, *, encode: bool
) -> PhotoResult:
    """Decode a photo once and cut out all items on it.

    Args:
        items: items on the same photo, at least one.
        photos: source of the photo.
        options: format of the crops.
        encode: whether to encode the crops; a check does not need them.
    """
    photo_id = items[0].photo_id
    if photo_id not in photos:
        return PhotoResult(items, MISSING)
    try:
        with collect_defects() as defects:
            image = photos.load(photo_id)
    except UndecodablePhotoError as error:
        return PhotoResult(items, error.kind)
    stored = [_store(image, item, photos, options, encode) for item in items]
    return PhotoResult(items, USABLE, stored, defects, picture_digest(image))


def _store(
    image: UInt8[np.ndarray, "height width 3"],
    item: PlannedItem,
    photos: PhotoSource,
    options: CropOptions,
    encode: bool,
) -> StoredItem:
    height, width = image.shape[:2]
    place = locate(item, photos, height, width, options.margin)
    reach = None
    if place.box is not None and place.cut is not None:
        box = place.box
        reach = ((box.x + box.width) / width, (box.y + box.height) / height)
    if not encode:
        return StoredItem(item, b"", place.defect, reach)
    region = image if place.cut is None else crop(image, place.cut)
    jpeg = encode_jpeg(shrink(region, options.longest_side), options.jpeg_quality)
    return StoredItem(item, jpeg, place.defect, reach)


def locate(
    item: PlannedItem, photos: PhotoSource, height: int, width: int, margin: float
) -> ItemPlace:
    """Locate an item on its photo of `height`×`width` pixels, and the area to cut out."""
    if item.box is None:
        return ItemPlace(None, None, item.box_defect)
    box: Box | None = item.box
    if isinstance(photos, ScalesBoxes):
        box = photos.scaled_box(item.photo_id, item.box, height, width)
    if box is None:
        return ItemPlace(None, None, WITHOUT_SCALE)
    fitted = fit_box(box, height, width, margin)
    defect = fitted.defect
    if fitted.box is not None and min(fitted.box.width, fitted.box.height) < LEAST_SIDE:
        defect = TINY
    return ItemPlace(box, fitted.box, defect)
