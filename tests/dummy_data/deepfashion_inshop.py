"""Writes a tiny raw copy of DeepFashion In-Shop, with the defects that real copies have.

    python -m tests.dummy_data.deepfashion_inshop FOLDER

Each of three categories has 8 training products with three photos each, and 4 test products with
two query and two gallery photos each. Products and photos are numbered in that order; two more
photos are of products that are not theirs.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from fashion_jax.data_builders.deepfashion_inshop.layout import BOXES, PARTITION
from jaxtyping import UInt8

from tests.dummy_data import dummy_photos

CATEGORIES = ("WOMEN/Dresses", "WOMEN/Tees_Tanks", "MEN/Denim")
SIZE = 64  # of a photo's side; 256 in the real dataset

MISSING = (2, 27, 28, 47, 48, 49)
WITHOUT_MATCH = (25, 26)  # 27 and 28 are all gallery photos of the product that they show
WITHOUT_PHOTOS = "id_00000015"  # photos 47 to 49
DAMAGED = {
    6: dummy_photos.EMPTY,
    51: dummy_photos.TRUNCATED,
    90: dummy_photos.NOT_AN_IMAGE,
}

REVERSED, OUTSIDE, CLIPPED, WITHOUT_BOX = 8, 12, 16, 20
_WRONG_BOXES = {  # corners, in place of good ones
    REVERSED: (40, 50, 10, 12),
    OUTSIDE: (70, 10, 90, 40),
    CLIPPED: (30, 20, 80, 50),
}
REPEATED_ROW = 59
CONTRADICTING_ROW = 61  # its second row calls it a query
REPEATED_BOX = 62  # with another box the second time
UNLISTED = "img/MEN/Denim/id_00000099/01_1_front.jpg"  # has a box, and no row
LEAKED = 121  # a training photo of the ninth product, which is one of the test
MISFILED = 122  # a photo of the 25th product in the folder of another one, of another category

_TRAIN, _TEST = ("train",) * 3, ("query", "query", "gallery", "gallery")
_VIEWS = ("1_front", "2_side", "3_back", "4_full")


@dataclasses.dataclass(frozen=True)
class DummyPhoto:
    """A photo of the dummy data.

    Attributes:
        number: from 1, in the order of the list.
        name: as the lists have it.
        item: its product.
        status: train, query or gallery.
    """

    number: int
    name: str
    item: str
    status: str


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write both lists and the photos."""
    photos = list(dummy_list())
    rows = [(photo.name, photo.item, photo.status) for photo in photos]
    repeated, contradicting = photos[REPEATED_ROW - 1], photos[CONTRADICTING_ROW - 1]
    rows.append((repeated.name, repeated.item, repeated.status))
    rows.append((contradicting.name, contradicting.item, "query"))
    # The real lists count the photos as well.
    _write(folder / PARTITION, len(photos), "image_name item_id evaluation_status", rows)
    boxes = [(each.name, *_box(each.number)) for each in photos if each.number != WITHOUT_BOX]
    boxes.append((photos[REPEATED_BOX - 1].name, *_box(1)))
    boxes.append((UNLISTED, *_box(2)))
    box_rows = [(name, 3, 1, *(f"{x:03d}" for x in corners)) for name, *corners in boxes]
    header = "image_name clothes_type pose_type x_1 y_1 x_2 y_2"
    _write(folder / BOXES, len(box_rows), header, box_rows)
    for photo in photos:
        if photo.number not in MISSING:
            pixels = photo_pixels(photo.number)
            dummy_photos.write_photo(folder / photo.name, pixels, DAMAGED.get(photo.number))


def dummy_list() -> Iterator[DummyPhoto]:
    """All photos, in order."""
    number = 0
    for place, category in enumerate(CATEGORIES):
        for product in range(1, 13):
            item = f"id_{12 * place + product:08d}"
            for view, status in zip(_VIEWS, _TRAIN if product <= 8 else _TEST, strict=False):
                number += 1
                yield DummyPhoto(number, f"img/{category}/{item}/01_{view}.jpg", item, status)
    leaked = "img/WOMEN/Dresses/id_00000009/02_1_front.jpg"
    yield DummyPhoto(LEAKED, leaked, "id_00000009", "train")
    yield DummyPhoto(MISFILED, "img/MEN/Pants/id_00000090/01_1_front.jpg", "id_00000025", "train")


def photo_pixels(number: int) -> UInt8[np.ndarray, "height width 3"]:
    """Content of photo `number`."""
    return dummy_photos.soft_pattern(number, SIZE, SIZE)


def good_box(number: int) -> tuple[int, int, int, int]:
    """Corners of the garment on photo `number`: x_1, y_1, x_2, y_2."""
    left, top = number % 7, 5 + number % 5
    return left, top, left + 30 + number % 9, top + 41


def _box(number: int) -> tuple[int, int, int, int]:
    return _WRONG_BOXES.get(number, good_box(number))


def _write(path: pathlib.Path, count: int, header: str, rows: Sequence[Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{name!s:<70} {' '.join(map(str, rest))}   " for name, *rest in rows]
    path.write_text("\n".join([str(count), header, *lines]) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny raw copy of DeepFashion In-Shop")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
