"""Writes a tiny raw copy of Street2Shop, with the defects that real copies have.

    python -m tests.dummy_data.street2shop FOLDER

Each of three categories has the products 1..8 (training: two shop and two street photos each),
9..12 (test: two shop photos, one street photo) and 13..14 (nobody asks for them: two shop photos).
Photos are numbered in that order; a fourth category is empty.
"""

import argparse
import collections
import functools
import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from fashion_jax.data_builders.street2shop.layout import ROLES, photo_name
from jaxtyping import UInt8
from PIL import Image

CATEGORIES = ("dresses", "hats", "tops")
EMPTY_CATEGORY = "belts"
WIDTH, HEIGHT = 48, 64

MISSING = (2, 33, 34, 51)  # 33 and 34 are all shop photos of the dress that photo 35 asks for
EMPTY = (6,)
TRUNCATED = (55,)
NOT_AN_IMAGE = (99,)
WITHOUT_MATCH = 35

BOXES: dict[int, dict[str, int]] = {  # in place of good ones
    7: {"left": 4, "top": 6},  # without size
    8: {"left": 4, "top": 6, "width": 0, "height": 0},  # empty
    12: {"left": 200, "top": 6, "width": 20, "height": 20},  # outside
    16: {"left": 20, "top": -8, "width": 60, "height": 40},  # partly outside
}
FORMATS = {  # name's ending, format, mode: whatever the ending says
    10: (".jpg", "PNG", "RGB"),
    11: (".jpg", "GIF", "P"),
    14: (".jpg", "JPEG", "L"),
    15: ("", "PNG", "P"),
    18: (".jpeg", "JPEG", "CMYK"),
    19: (".webp", "WEBP", "RGB"),
    22: (".png", "PNG", "I;16"),
}
SHARED_PHOTO = 20  # a street photo with a dress and a top on it
REPEATED_PHOTO = 59  # its row is there twice
LEAKED_PHOTO = 145  # a training photo of top 9, which the test pairs ask for as well

_Rows = dict[tuple[str, str], list[dict[str, Any]]]


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write lists, photos and the list of links."""
    rows = _rows()
    lists = folder / "meta" / "json"
    lists.mkdir(parents=True)
    for category in (*CATEGORIES, EMPTY_CATEGORY):
        for role in ROLES:
            path = lists / f"{role}_{category}.json"
            path.write_text(json.dumps(rows[role, category]))
    numbers = sorted({row["photo"] for of_list in rows.values() for row in of_list})
    for number in numbers:
        _write_photo(folder, number)
    links = (f"{photo_name(number)},http://photos.invalid/{number}.jpg\n" for number in numbers)
    (folder / "photos" / "photos.txt").write_text("".join(links))


def photo_pixels(number: int) -> UInt8[np.ndarray, "height width 3"]:
    """Content of photo `number`: its own soft pattern, which JPEG keeps well."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(x / (9 + channel) + number) + np.cos(y / 11 + channel) for channel in range(3)]
    return np.rint(127 + 60 * np.stack(waves, axis=2)).astype(np.uint8)


def good_box(number: int) -> dict[str, int]:
    """Box of the garment on photo `number`."""
    return {"left": number % 7, "top": 5 + number % 5, "width": 30, "height": 41}


@functools.cache
def _products() -> dict[tuple[int, str], tuple[str, int]]:
    return {
        (row["photo"], category): (category, row["product"])
        for (_, category), rows in _rows().items()
        for row in rows
    }


def product_of(number: int, category: str) -> tuple[str, int]:
    """The product of a category that photo `number` shows; each category has its own numbers."""
    return _products()[number, category]


def domain_of(number: int) -> str:
    """Whether photo `number` is one of the shop or of the street."""
    _, role, _ = list(_photos())[number - 1]
    return "shop" if role == "retrieval" else "street"


def _rows() -> _Rows:
    rows: _Rows = collections.defaultdict(list)
    for number, (category, role, product) in enumerate(_photos(), start=1):
        row: dict[str, Any] = {"photo": number, "product": product}
        if role != "retrieval":
            row["bbox"] = BOXES.get(number, good_box(number))
        rows[role, category].append(row)
    shared = {"photo": SHARED_PHOTO, "product": 5, "bbox": good_box(SHARED_PHOTO + 3)}
    rows["train_pairs", "tops"].append(shared)
    repeated = {"photo": REPEATED_PHOTO, "product": 3, "bbox": good_box(1)}
    rows["train_pairs", "hats"].append(repeated)
    leaked = {"photo": LEAKED_PHOTO, "product": 9, "bbox": good_box(LEAKED_PHOTO)}
    rows["train_pairs", "tops"].append(leaked)
    return rows


def _photos() -> Iterator[tuple[str, str, int]]:
    """Category, list and product of every photo, in the order of their numbers."""
    for category in CATEGORIES:
        for product in range(1, 15):
            yield from [(category, "retrieval", product)] * 2
            if product <= 8:
                yield from [(category, "train_pairs", product)] * 2
            elif product <= 12:
                yield category, "test_pairs", product


def _write_photo(folder: pathlib.Path, number: int) -> None:
    if number in MISSING:
        return
    ending, kind, mode = FORMATS.get(number, (".jpg", "JPEG", "RGB"))
    # Both names of the folder are found in real copies; here half of the photos lie in each.
    path = folder / ("images" if number < 97 else "photos") / (photo_name(number) + ending)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(_content(number, kind, mode))


def _content(number: int, kind: str, mode: str) -> bytes:
    if number in EMPTY:
        return b""
    if number in NOT_AN_IMAGE:
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    data = _encode(photo_pixels(number), kind, mode)
    return data[: len(data) // 2] if number in TRUNCATED else data


def _encode(pixels: UInt8[np.ndarray, "height width 3"], kind: str, mode: str) -> bytes:
    if mode == "I;16":
        image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(pixels)
        image = image.quantize(dither=Image.Dither.NONE) if mode == "P" else image.convert(mode)
    buffer = io.BytesIO()
    options = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
    image.save(buffer, kind, **options)
    return buffer.getvalue()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny raw copy of Street2Shop")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
