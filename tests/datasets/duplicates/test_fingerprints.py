"""Fingerprints: equal for equal pictures, close for close ones, far for another colour."""

import numpy as np
import pytest

from fashion_jax.datasets.duplicates.equal_pictures import picture_digest
from fashion_jax.datasets.duplicates.fingerprints import (
    colour_differences,
    read_fingerprints,
)
from fashion_jax.datasets.duplicates.limits import Limits
from fashion_jax.errors import FashionJaxError
from tests.datasets.duplicates.drawn_photos import (
    BLUE,
    brighter,
    cropped,
    encoded,
    garment,
    marked,
    mirrored,
    reencoded,
    resized,
)

LIMITS = Limits()


def prints_of(*photos):
    files = list(map(encoded, photos))
    return read_fingerprints(files.__getitem__, len(files), progress=False)


def measured(photo, other):
    prints = prints_of(photo, other)
    first, second = np.array([0]), np.array([1])
    return prints.hash_distances(first, second)[0], prints.colour_differences(first, second)[0]


@pytest.mark.parametrize("change", [reencoded, resized, brighter, marked])
def test_a_changed_copy_is_close(change):
    for seed in range(5):
        distance, colour = measured(garment(seed), change(garment(seed)))
        assert distance <= LIMITS.hash_distance
        assert colour <= LIMITS.colour_difference


def test_the_hash_of_a_slight_crop_is_close():
    for seed in range(5):
        assert measured(garment(seed), cropped(garment(seed)))[0] <= LIMITS.hash_distance


def test_another_colour_is_close_by_hash_alone():
    for seed in range(5):
        distance, colour = measured(garment(seed), garment(seed, BLUE))
        assert distance <= 20
        assert colour > 3 * LIMITS.colour_difference
    grey = np.full((40, 40, 3), 90, np.uint8)
    assert measured(grey, grey + 60)[0] == 0


def test_a_mirrored_photo_and_another_garment_are_far():
    for seed in range(5):
        assert measured(garment(seed), mirrored(garment(seed)))[0] > LIMITS.hash_distance
        assert measured(garment(seed), garment(seed + 10))[0] > LIMITS.hash_distance


def test_numbers_are_equal_for_equal_bytes_and_equal_pixels():
    photo = garment(1)
    files = [encoded(photo), encoded(garment(2)), encoded(photo), encoded(photo) + b"more"]
    prints = read_fingerprints(files.__getitem__, 4, progress=False)
    assert prints.contents.tolist() == [0, 1, 0, 3]
    assert prints.pictures.tolist() == [0, 1, 0, 0]
    told = read_fingerprints(files.__getitem__, 4, ["a", "b", "b", "a"], progress=False)
    assert told.contents.tolist() == [0, 1, 1, 0]


def test_photos_of_one_colour_are_plain():
    white = np.full((50, 40, 3), 255, np.uint8)
    speck = white.copy()
    speck[20:30, 10:20] = 0
    assert prints_of(white, speck, garment(0)).plain.tolist() == [True, False, False]


def test_no_photo_has_no_fingerprint():
    prints = read_fingerprints(lambda row: b"", 0, progress=False)
    assert len(prints) == 0
    assert prints.colours.shape == (0, 8, 8, 3)


def test_a_colour_difference_by_hand():
    first, second = np.zeros((2, 1, 8, 8, 3), np.float16)
    second[0, 3, 5] = [3, 4, 12]
    assert colour_differences(first, second).tolist() == [13.0]


def test_a_digest_depends_on_every_row_of_a_usual_photo_and_on_the_shape():
    photo = np.zeros((900, 3, 3), np.uint8)
    for row in range(0, 900, 99):
        other = photo.copy()
        other[row, 1, 1] = 1
        assert picture_digest(other) != picture_digest(photo)
    assert picture_digest(photo.reshape(300, 9, 3)) != picture_digest(photo)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hash_distance": 65},
        {"colour_difference": -1.0},
        {"colour_difference": float("nan")},
        {"cosine": 1.5},
        {"pairs": 0},
    ],
)
def test_limits_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(FashionJaxError, match=name):
        Limits(**wrong)
