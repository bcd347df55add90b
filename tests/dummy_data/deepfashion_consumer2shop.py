"""Writes a tiny raw copy of Consumer-to-Shop, with the defects that real copies have.

    python -m tests.dummy_data.deepfashion_consumer2shop FOLDER

Each of three categories has eight items: four for training, two for validation, two for testing.
Every item has two consumer photos and two shop photos; all pairs of them are listed.
"""

import argparse
import io
import pathlib
from collections.abc import Iterator, Mapping

import numpy as np
from fashion_jax.data_builders.deepfashion_consumer2shop.layout import BOXES, HIGH, LOW, PARTITION
from jaxtyping import UInt8
from PIL import Image

from tests.dummy_data.dummy_photos import EMPTY, NOT_AN_IMAGE, TRUNCATED, soft_pattern, write_photo

CATEGORIES = ("DRESSES/Dress", "CLOTHING/Summer_Wear", "TOPS/T_Shirt")
ITEMS = range(1, 25)
LOW_SIZE, HIGH_SIZE = (48, 64), (120, 168)  # width, height

Photo = tuple[int, str, int]
"""Item, `comsumer` (spelt so) or `shop`, number of the photo."""

MISSING: tuple[Photo, ...] = ((1, "comsumer", 2), (7, "shop", 1), (7, "shop", 2))
WITHOUT_MATCH = 7  # this test item has no shop photo left
MISSING_IN_LOW: Photo = (9, "shop", 1)
MISSING_IN_HIGH: Photo = (10, "shop", 1)
DAMAGED: Mapping[Photo, str] = {
    (2, "comsumer", 1): EMPTY,
    (17, "shop", 2): TRUNCATED,
    (18, "comsumer", 1): NOT_AN_IMAGE,
}
GRAYSCALE: Photo = (19, "shop", 1)

CORNERS: Mapping[Photo, tuple[int, int, int, int]] = {  # in place of good ones
    (11, "comsumer", 1): (10, 12, 10, 40),  # without area
    (11, "shop", 1): (30, 50, 4, 6),  # in the wrong order
    (12, "comsumer", 1): (100, 10, 130, 40),  # outside
    (20, "comsumer", 1): (20, 8, 60, 40),  # partly outside
}
WITHOUT_BOX: Photo = (19, "comsumer", 2)
BOX_WITHOUT_PAIR = "img/TOPS/T_Shirt/id_00000099/shop_01.jpg"
OTHER_SOURCE: Photo = (21, "shop", 1)  # a consumer's photo, the list of boxes says
REPEATED: Photo = (22, "shop", 1)  # its box and one of its pairs are there twice
GOOD: tuple[Photo, ...] = (  # some photos that are whole, and so are their boxes
    *((1, "comsumer", 1), (3, "shop", 2), (5, "comsumer", 2), (7, "comsumer", 1), (9, "shop", 2)),
    *((10, "comsumer", 1), (13, "shop", 1), (16, "shop", 2), (21, "shop", 1), (22, "shop", 1)),
)
LEAKED_ITEM = 4  # for training, but one of its pairs is for testing as well


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write both lists, and the photos in both resolutions."""
    _write_list(folder / BOXES, _BOX_COLUMNS, list(_box_rows()))
    _write_list(folder / PARTITION, _PAIR_COLUMNS, list(_pair_rows()))
    for photo in all_photos():
        high = soft_pattern(number_of(photo), *HIGH_SIZE)
        if photo not in (*MISSING, MISSING_IN_LOW):
            _write(folder / path_of(photo), _reduced(high), photo)
        if photo not in (*MISSING, MISSING_IN_HIGH):
            _write(folder / high_path_of(photo), high, photo)


def all_photos() -> Iterator[Photo]:
    """Photos of all pairs."""
    for item in ITEMS:
        for kind in ("comsumer", "shop"):
            yield from ((item, kind, number) for number in (1, 2))


def path_of(photo: Photo) -> str:
    """A photo's path in the lists, where it lies in low resolution."""
    item, kind, number = photo
    category = CATEGORIES[(item - 1) // 8]
    return f"{LOW}/{category}/id_{item:08d}/{kind}_{number:02d}.jpg"


def high_path_of(photo: Photo) -> str:
    """Path of a photo in high resolution, where one folder has another name."""
    path = path_of(photo).replace(f"{LOW}/", f"{HIGH}/", 1)
    return path.replace("CLOTHING/Summer_Wear", "CLOTHING/Summer_Suit")


def number_of(photo: Photo) -> int:
    """Photos are numbered in their order, from 1."""
    item, kind, number = photo
    return 4 * (item - 1) + (2 if kind == "shop" else 0) + number


def corners_of(photo: Photo) -> tuple[int, int, int, int]:
    """x_1, y_1, x_2, y_2 of a photo's box, in pixels of the low resolution."""
    left, top = number_of(photo) % 7, 5 + number_of(photo) % 5
    return CORNERS.get(photo, (left, top, left + 30, top + 41))


def status_of(item: int) -> str:
    """The status of an item's pairs."""
    return ("train", "train", "train", "train", "val", "val", "test", "test")[(item - 1) % 8]


_BOX_COLUMNS = "image_name clothes_type source_type x_1 y_1 x_2 y_2"
_PAIR_COLUMNS = "image_pair_name_1 image_pair_name_2 item_id evaluation_status"


def _box_rows() -> Iterator[str]:
    for photo in all_photos():
        if photo != WITHOUT_BOX:
            yield _box_row(photo, corners_of(photo))
        if photo == REPEATED:
            yield _box_row(photo, (0, 0, 5, 5))
    yield f"{BOX_WITHOUT_PAIR:<70} 1 1 000 000 010 010"


def _box_row(photo: Photo, corners: tuple[int, int, int, int]) -> str:
    of_shop = (photo[1] == "shop") != (photo == OTHER_SOURCE)
    numbers = " ".join(f"{corner:03d}" for corner in corners)
    return f"{path_of(photo):<70} 1 {1 if of_shop else 2} {numbers}"


def _pair_rows() -> Iterator[str]:
    for item in ITEMS:
        for consumer in (1, 2):
            for shop in (1, 2):
                yield _pair_row(item, consumer, shop, status_of(item))
    yield _pair_row(LEAKED_ITEM, 1, 1, "test")
    yield _pair_row(REPEATED[0], 1, REPEATED[2], status_of(REPEATED[0]))


def _pair_row(item: int, consumer: int, shop: int, status: str) -> str:
    paths = (path_of((item, "comsumer", consumer)), path_of((item, "shop", shop)))
    return f"{paths[0]:<70} {paths[1]:<70} id_{item:08d} {status}"


def _write_list(path: pathlib.Path, columns: str, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([str(len(rows)), columns, *rows]) + "\n")


def _write(path: pathlib.Path, pixels: UInt8[np.ndarray, "height width 3"], photo: Photo) -> None:
    write_photo(path, pixels, DAMAGED.get(photo))
    if photo == GRAYSCALE:
        buffer = io.BytesIO()
        Image.fromarray(pixels).convert("L").save(buffer, "JPEG", quality=95)
        path.write_bytes(buffer.getvalue())


def _reduced(high: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "_ _ 3"]:
    return np.asarray(Image.fromarray(high).resize(LOW_SIZE, Image.Resampling.BOX))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny raw copy of Consumer-to-Shop")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
