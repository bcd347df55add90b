"""Properties of every corruption, and their lookup by name."""

import cv2
import numpy as np
import pytest

from fashion_jax.datasets.corruptions import (
    CORRUPTIONS,
    CorruptionError,
    find_corruptions,
    generator,
)

SEVERITIES = (0.2, 0.4, 0.6, 0.8, 1.0)
ONE_WAY = {"resolution", "blur", "jpeg"}
TWO_WAYS = {"brightness", "contrast", "rotation", "zoom"}
ALL = pytest.mark.parametrize("corruption", CORRUPTIONS.values(), ids=list(CORRUPTIONS))


def photo(height=96, width=120):
    """Soft blobs with a finer texture on them, away from black and white."""
    rng = np.random.default_rng(4)
    pixels = np.full((height, width, 3), 120.0)
    for cells, amplitude in ((5, 30), (24, 15)):
        coarse = rng.uniform(-1, 1, (cells, cells, 3))
        pixels += amplitude * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pixels, 40, 210).astype(np.uint8)


def applied(corruption, image, severity, photo_id="a", seed=0):
    return corruption.apply(image, severity, generator(corruption.name, photo_id, seed))


def test_all_of_the_papers_corruptions_are_there():
    assert list(CORRUPTIONS) == [
        "light",
        "brightness",
        "contrast",
        "colour",
        "rotation",
        "view_angle",
        "crumpling",
        "zoom",
        "resolution",
        "blur",
        "jpeg",
        "occlusion",
    ]


@ALL
def test_severity_0_changes_nothing(corruption):
    image = photo(37, 53)
    same = applied(corruption, image, 0.0)
    np.testing.assert_array_equal(same, image)
    assert same is not image


@ALL
@pytest.mark.parametrize("severity", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (37, 53)])
def test_any_size_is_kept(corruption, size, severity):
    corrupted = applied(corruption, photo(*size), severity)
    assert corrupted.shape == (*size, 3)
    assert corrupted.dtype == np.uint8


@ALL
@pytest.mark.parametrize("shade", [0, 90, 255])
def test_plain_photos_pass(corruption, shade):
    image = np.full((20, 30, 3), shade, np.uint8)
    assert applied(corruption, image, 1.0).shape == image.shape


@ALL
def test_the_photo_is_not_written_to_and_chance_is_repeatable(corruption):
    image = photo(37, 53)
    before = image.copy()
    first = applied(corruption, image, 0.7)
    np.testing.assert_array_equal(applied(corruption, image, 0.7), first)
    np.testing.assert_array_equal(image, before)
    assert (first != image).any()


@ALL
def test_the_difference_grows_with_the_severity(corruption):
    image = photo()
    for photo_id in "abcdef":
        differences = [
            np.abs(applied(corruption, image, severity, photo_id).astype(float) - image).mean()
            for severity in (0.0, *SEVERITIES)
        ]
        assert (np.diff(differences) > 0).all(), differences


@ALL
def test_chance_depends_neither_on_severity_nor_on_size(corruption):
    following = set()
    for size in ((96, 120), (37, 53), (1, 1)):
        for severity in SEVERITIES:
            rng = generator(corruption.name, "a", 0)
            corruption.apply(photo(*size), severity, rng)
            following.add(rng.random())
    assert len(following) == 1


@ALL
def test_photos_are_corrupted_in_directions_of_their_own(corruption):
    image = photo(37, 53)
    corrupted = {applied(corruption, image, 1.0, str(name)).tobytes() for name in range(20)}
    expected = 1 if corruption.name in ONE_WAY else 2 if corruption.name in TWO_WAYS else 20
    assert len(corrupted) == expected


def test_another_seed_gives_other_directions():
    light = CORRUPTIONS["light"]
    first, second = (applied(light, photo(), 1.0, seed=seed) for seed in (0, 1))
    assert (first != second).any()


def test_corruptions_do_not_share_their_chance():
    assert generator("light", "a", 0).random() != generator("colour", "a", 0).random()


def test_chance_is_the_same_on_every_machine():
    assert generator("light", "a", 0).random() == pytest.approx(0.5521383201580554, abs=1e-15)


@ALL
@pytest.mark.parametrize("severity", [-0.1, 1.1, float("nan")])
def test_a_severity_beyond_its_range_is_refused(corruption, severity):
    with pytest.raises(ValueError, match=f"severity of {corruption.name} must lie in 0..1"):
        applied(corruption, photo(), severity)


def test_find_corruptions():
    assert [each.name for each in find_corruptions(["blur", "light"])] == ["blur", "light"]
    assert find_corruptions() == tuple(CORRUPTIONS.values())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["blurr"], "unknown corruption 'blurr'.*did you mean 'blur'"),
        (["blur", "color"], "did you mean 'colour'"),
        (["xyz"], "known are light, brightness"),
        (["blur", "blur"], "once; got blur, blur"),
        ([], "got none"),
    ],
)
def test_wrong_names_are_refused(names, message):
    with pytest.raises(CorruptionError, match=message):
        find_corruptions(names)
