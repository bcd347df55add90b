"""Augmentations of the strong baseline."""

import numpy as np
import pytest

from fashion_jax.config import AugmentConfig
from fashion_jax.datasets.augment import augment, erasing_rectangle, pad_and_crop

HEIGHT, WIDTH = 64, 32


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def test_crop_is_a_window_of_the_padded_photo(image):
    padded = np.pad(image, ((10, 10), (10, 10), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, image.shape)[:, :, 0]
    for seed in range(5):
        cropped = pad_and_crop(image, 10, np.random.default_rng(seed))
        assert (windows == cropped).all(axis=(2, 3, 4)).sum() == 1


def test_crops_reach_both_ends(image):
    rng = np.random.default_rng(0)
    corners = {bool(pad_and_crop(image, 1, rng)[0].any()) for _ in range(30)}
    assert corners == {True, False}


def test_flip_only(image):
    config = AugmentConfig(flip_probability=1.0, pad=0, erase_probability=0.0)
    flipped, erased = augment(image, config, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, image[:, ::-1])
    assert not erased.any()


def test_rectangles_stay_inside_and_keep_area_and_aspect():
    rng = np.random.default_rng(0)
    for _ in range(300):
        top, left, height, width = erasing_rectangle(HEIGHT, WIDTH, AugmentConfig(), rng)
        assert top >= 0
        assert left >= 0
        assert top + height <= HEIGHT
        assert left + width <= WIDTH
        assert 0.015 < height * width / (HEIGHT * WIDTH) < 0.42
        assert 0.2 < height / width < 4.5  # rounding to whole pixels widens 0.3..3.33


def test_erases_half_of_the_photos(image):
    rng = np.random.default_rng(0)
    erased = [augment(image, AugmentConfig(), rng)[1].any() for _ in range(400)]
    assert 150 < sum(erased) < 250


def test_rectangle_that_never_fits_erases_nothing():
    config = AugmentConfig(erase_area_min=0.9, erase_area_max=0.9, erase_aspect_min=3.0)
    assert not erasing_rectangle(8, 64, config, np.random.default_rng(0)).any()
