"""Writes a tiny raw copy of Market-1501, with everything that real copies have besides persons.

    python -m tests.dummy_data.market1501 FOLDER

Six training persons are seen twice by each of three cameras. Each of four test persons has a query
by each of two cameras, and two photos by each of them in the gallery. The comments next to
the numbers describe the others.
"""

import argparse
import pathlib
from collections.abc import Iterator

import numpy as np
from fashion_jax.data_builders.market1501.layout import DISTRACTOR, JUNK, QUERY, TEST, TRAIN
from jaxtyping import UInt8

from tests.dummy_data import dummy_photos

WIDTH, HEIGHT = 32, 64  # 64 and 128 in the real dataset

TRAIN_PERSONS = (2, 7, 10, 11, 12, 15)
ONE_CAMERA = 20  # two training photos by one camera
SEEN_ONCE_EACH = 21  # a training photo by each of two cameras
TEST_PERSONS = (1, 3, 4, 5)
SAME_CAMERA_ONLY = 6  # its gallery photos are by the query's camera
WITHOUT_MATCH = 8  # a query, and nothing in the gallery
NOT_ASKED_FOR = 9  # in the gallery, and no query
LEAKED = 30  # in the training and in the gallery

DISTRACTORS, JUNK_PHOTOS = 3, 4
DISTRACTOR_AS_QUERY = "query/0000_c1s1_000900_00.jpg"
JUNK_IN_TRAIN = "bounding_box_train/-1_c2s1_000901_00.jpg"
MISNAMED = "bounding_box_test/person1.jpg"
ENDS_TWICE = "bounding_box_test/0005_c3s1_000903_00.jpg.jpg"

EMPTY = "bounding_box_train/0020_c1s1_000910_01.jpg"
TRUNCATED = "bounding_box_test/0009_c1s1_000911_01.jpg"
NOT_AN_IMAGE = "bounding_box_test/0009_c1s1_000912_01.jpg"
_DAMAGED = {
    EMPTY: dummy_photos.EMPTY,
    TRUNCATED: dummy_photos.TRUNCATED,
    NOT_AN_IMAGE: dummy_photos.NOT_AN_IMAGE,
}


def write_dummy_data(folder: pathlib.Path) -> None:
    """Write the photos, and what else lies there."""
    for name in photo_names():
        dummy_photos.write_photo(folder / name, photo_pixels(name), _DAMAGED.get(name))
    for name in (TRAIN, QUERY, TEST):
        (folder / name / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "readme.txt").write_text("Market-1501\n")


def photo_pixels(name: str) -> UInt8[np.ndarray, "height width 3"]:
    """Content of a photo."""
    return dummy_photos.soft_pattern(sum(name.encode()), WIDTH, HEIGHT)


def person_of(name: str) -> int:
    """The person that a photo's name says; 0 for distractors, -1 for junk."""
    return int(name.split("/")[1].split("_")[0])


def photo_names() -> Iterator[str]:
    """Folders and names of all photos."""
    yield from _series(TRAIN, TRAIN_PERSONS, (1, 2, 3), 2)
    yield from _series(TRAIN, (ONE_CAMERA,), (1,), 2)
    yield from _series(TRAIN, (SEEN_ONCE_EACH,), (1, 2), 1)
    yield from _series(TRAIN, (LEAKED,), (1, 2), 2)
    yield from _series(QUERY, TEST_PERSONS, (1, 2), 1)
    yield from _series(QUERY, (SAME_CAMERA_ONLY, WITHOUT_MATCH), (1,), 1)
    yield from _series(TEST, TEST_PERSONS, (1, 2), 2)
    yield from _series(TEST, (SAME_CAMERA_ONLY,), (1,), 2)
    yield from _series(TEST, (NOT_ASKED_FOR, LEAKED), (2,), 1)
    yield from _series(TEST, (DISTRACTOR,), (1,), DISTRACTORS)
    yield from _series(TEST, (JUNK,), (1,), JUNK_PHOTOS)
    yield from (DISTRACTOR_AS_QUERY, JUNK_IN_TRAIN, MISNAMED, ENDS_TWICE, *_DAMAGED)


def _series(
    folder: str, persons: tuple[int, ...], cameras: tuple[int, ...], photos: int
) -> Iterator[str]:
    """So many photos of each person by each camera."""
    for person in persons:
        name = "-1" if person == JUNK else f"{person:04d}"
        for camera in cameras:
            for photo in range(photos):
                frame = 100 * camera + 25 * photo + (5 if folder == QUERY else 0)
                yield f"{folder}/{name}_c{camera}s1_{frame:06d}_{photo:02d}.jpg"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="writes a tiny raw copy of Market-1501")
    parser.add_argument("folder", type=pathlib.Path, help="must not exist yet")
    write_dummy_data(parser.parse_args().folder)
