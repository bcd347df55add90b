"""Augmentations of the strong baseline."""

import numpy as np
import pytest

from fashion_jax.config import AugmentConfig
from fashion_jax.datasets.augment import (
    Augmentation,
    draw_augmentation,
    erasing_rectangle,
    flip_and_crop,
)

HEIGHT, WIDTH = 64, 32


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(1, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def augmented(image: np.ndarray, drawn: Augmentation) -> np.ndarray:
    """The image in the middle of a batch of three, whose others stay as they were."""
    batch = np.full((3, *image.shape), 7, np.uint8)
    flip_and_crop(image, drawn, batch[1])
    assert (batch[::2] == 7).all()
    return batch[1]


def in_single_steps(image: np.ndarray, config: AugmentConfig, rng: np.random.Generator):
    """The same draws and pixels, one operation after the other."""
    height, width = image.shape[:2]
    if rng.random() < config.flip_probability:
        image = image[:, ::-1]
    top, left = rng.integers(0, 2 * config.pad + 1, size=2)
    padded = np.pad(image, ((config.pad, config.pad), (config.pad, config.pad), (0, 0)))
    erased = np.zeros(4, np.int32)
    if rng.random() < config.erase_probability:
        erased = erasing_rectangle(height, width, config, rng)
    return padded[top : top + height, left : left + width], erased


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (1, 1), (1, 9), (9, 1), (12, 40)])
@pytest.mark.parametrize("pad", [0, 1, 10, 30])
def test_one_pass_gives_what_single_steps_give(shape, pad):
    config = AugmentConfig(pad=pad)
    for seed in range(20):
        image = np.random.default_rng(seed).integers(1, 256, (*shape, 3), dtype=np.uint8)
        pixels, erased = in_single_steps(image, config, np.random.default_rng(seed))
        drawn = draw_augmentation(*shape, config, np.random.default_rng(seed))
        np.testing.assert_array_equal(augmented(image, drawn), pixels)
        np.testing.assert_array_equal(drawn.erased, erased)


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[:, :, ::-1]])
def test_images_may_be_views(image, view):
    drawn = Augmentation(True, -3, 5, np.zeros(4, np.int32))
    expected = augmented(np.ascontiguousarray(image[view]), drawn)
    np.testing.assert_array_equal(augmented(image[view], drawn), expected)


def test_crops_reach_both_ends():
    config, rng = AugmentConfig(pad=1), np.random.default_rng(0)
    drawn = [draw_augmentation(HEIGHT, WIDTH, config, rng) for _ in range(30)]
    assert {each.down for each in drawn} == {each.right for each in drawn} == {-1, 0, 1}


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


def test_erases_half_of_the_photos():
    config, rng = AugmentConfig(), np.random.default_rng(0)
    erased = [draw_augmentation(HEIGHT, WIDTH, config, rng).erased.any() for _ in range(400)]
    assert 150 < sum(erased) < 250


def test_rectangle_that_never_fits_erases_nothing():
    config = AugmentConfig(erase_area_min=0.9, erase_area_max=0.9, erase_aspect_min=3.0)
    assert not erasing_rectangle(8, 64, config, np.random.default_rng(0)).any()
