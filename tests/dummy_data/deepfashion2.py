"""Writes a tiny raw copy of DeepFashion2, with the defects that real copies have.

    python -m tests.dummy_data.deepfashion2 FOLDER

Each pair has two photos by customers and two by its shop, in that order. On each there is the
garment of style 1; on the first of each two that of style 2, and on the second one without a
partner (style 0). The training set has 8 such pairs, the validation set 4, with the same numbers.
"""

import argparse
import functools
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from fashion_jax.data_builders.deepfashion2.annotations import CATEGORIES
from fashion_jax.data_builders.deepfashion2.layout import TRAIN, VALIDATION
from jaxtyping import UInt8

from tests.dummy_data import dummy_photos

WIDTH, HEIGHT = 48, 64

MISSING = "train/000003"
DAMAGED = {
    "train/000006": dummy_photos.EMPTY,
    "train/000010": dummy_photos.TRUNCATED,
    "train/000013": dummy_photos.NOT_AN_IMAGE,
}
REVERSED, OUTSIDE, CLIPPED = "train/000018", "train/000021", "train/000022"
_WRONG_BOXES = {  # corners of item1, in place of good ones
    REVERSED: [30, 40, 10, 12],
    OUTSIDE: [60, 10, 80, 30],
    CLIPPED: [-6, 20, 20, 50],
}
WRONG_CATEGORY_ID = "train/000017"
OTHER_CATEGORY = "train/000023"  # calls the garment of style 1 by another name than its pair does
WITHOUT_ANNOTATION = "train/000033"
WITHOUT_ITEMS = "train/000034"
WITHOUT_SHOP = "train/000035"  # a customer's photo of pair 9, which no shop has

TWICE_ON_IT = "validation/000007"  # a shop's photo of two persons who wear the same
ASKS_IN_VAIN = "validation/000017"  # style 14 of pair 5, of which there is no shop's photo
NOT_ASKED_FOR = "validation/000018"  # a shop's photo of pair 6, which has no other

_ANNOTATED_PAIRS = {TRAIN: 8, VALIDATION: 4}


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write annotations and photos, and photos without annotations of the test set."""
    for photo_id, annotation in _annotations():
        part, number = photo_id.split("/")
        path = folder / part / "annos" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(annotation))
        _write_photo(folder, photo_id)
    for photo_id in (WITHOUT_ANNOTATION, "test/000001"):
        _write_photo(folder, photo_id)


def photo_pixels(photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
    """Content of a photo."""
    part, number = photo_id.split("/")
    return dummy_photos.soft_pattern(int(number) + 100 * len(part), WIDTH, HEIGHT)


def good_box(photo_id: str, item: int) -> list[int]:
    """Corners of an item on a photo: x1, y1, x2, y2."""
    number = int(photo_id.split("/")[1])
    left, top = number % 7 + 5 * item, number % 5 + 3 * item
    return [left, top, left + 20 + number % 4, top + 30]


def category_of(pair: int, style: int) -> str:
    """Category of a garment, as in the records."""
    return CATEGORIES[(pair + 4 * style) % len(CATEGORIES)].replace(" ", "_")


@functools.cache
def _products() -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (photo_id, item["category_name"].replace(" ", "_")): (
            (photo_id.split("/")[0], annotation["pair_id"], item["style"])
            if item["style"]
            else (photo_id, name)
        )
        for photo_id, annotation in _annotations()
        for name, item in annotation.items()
        if name.startswith("item")
    }


def product_of(photo_id: str, category: str) -> tuple[object, ...]:
    """The product of a category that a photo shows: set, pair and style; or an item alone."""
    return _products()[photo_id, category]


@functools.cache
def _sources() -> dict[str, str]:
    return {photo_id: annotation["source"] for photo_id, annotation in _annotations()}


def domain_of(photo_id: str) -> str:
    """Whether a customer or a shop took a photo."""
    return {"user": "street", "shop": "shop"}[_sources()[photo_id]]


def _annotations() -> Iterator[tuple[str, dict[str, Any]]]:
    for part, pairs in _ANNOTATED_PAIRS.items():
        for index in range(4 * pairs):
            pair, place = 1 + index // 4, index % 4
            photo_id = f"{part}/{index + 1:06d}"
            source = "user" if place < 2 else "shop"
            styles = (1, 0) if place % 2 else (1, 2)
            yield photo_id, _annotation(photo_id, source, pair, styles)
    yield WITHOUT_ITEMS, {"source": "shop", "pair_id": 8}
    yield WITHOUT_SHOP, _annotation(WITHOUT_SHOP, "user", 9, (3,))
    yield ASKS_IN_VAIN, _annotation(ASKS_IN_VAIN, "user", 5, (14,))
    yield NOT_ASKED_FOR, _annotation(NOT_ASKED_FOR, "shop", 6, (1,))


def _annotation(photo_id: str, source: str, pair: int, styles: tuple[int, ...]) -> dict[str, Any]:
    if photo_id == TWICE_ON_IT:
        styles = (*styles, styles[0])
    items = {
        f"item{number}": _item(photo_id, number, pair, style)
        for number, style in enumerate(styles, start=1)
    }
    return {**items, "source": source, "pair_id": pair}


def _item(photo_id: str, number: int, pair: int, style: int) -> dict[str, Any]:
    category = (pair + 4 * style + (photo_id == OTHER_CATEGORY)) % len(CATEGORIES)
    box = _WRONG_BOXES.get(photo_id) if number == 1 else None
    return {
        "segmentation": [[1, 2, 17, 94, 58, 128, 1, 2]],
        "scale": 2,
        "viewpoint": 2,
        "zoom_in": 1,
        "landmarks": [0, 0, 0, 94, 58, 2],
        "style": style,
        "bounding_box": box or good_box(photo_id, number),
        "category_id": category + 1 + (photo_id == WRONG_CATEGORY_ID and number == 1),
        "occlusion": 1,
        "category_name": CATEGORIES[category],
    }


def _write_photo(folder: pathlib.Path, photo_id: str) -> None:
    if photo_id == MISSING:
        return
    part, number = photo_id.split("/")
    path = folder / part / "image" / f"{number}.jpg"
    dummy_photos.write_photo(path, photo_pixels(photo_id), DAMAGED.get(photo_id))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny raw copy of DeepFashion2")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
