"""What holds for every nuisance, and how they are found by name."""

import cv2
import numpy as np
import pytest

from fashion_jax.datasets.corruptions import (
    NUISANCES,
    NuisanceError,
    find_nuisances,
    generator,
)

STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)
ONE_WAY = {"resolution", "blur", "jpeg"}
TWO_WAYS = {"brightness", "contrast", "rotation", "zoom"}
ALL = pytest.mark.parametrize("nuisance", NUISANCES.values(), ids=list(NUISANCES))


def photo(height=96, width=120):
    """Soft blobs with a finer texture on them, away from black and white."""
    rng = np.random.default_rng(4)
    pixels = np.full((height, width, 3), 120.0)
    for cells, amplitude in ((5, 30), (24, 15)):
        coarse = rng.uniform(-1, 1, (cells, cells, 3))
        pixels += amplitude * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(pixels, 40, 210).astype(np.uint8)


def applied(nuisance, image, strength, photo_id="a", seed=0):
    return nuisance.apply(image, strength, generator(nuisance.name, photo_id, seed))


def test_all_of_the_papers_nuisances_are_there():
    assert list(NUISANCES) == [
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
def test_strength_0_changes_nothing(nuisance):
    image = photo(37, 53)
    same = applied(nuisance, image, 0.0)
    np.testing.assert_array_equal(same, image)
    assert same is not image


@ALL
@pytest.mark.parametrize("strength", [0.01, 0.5, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (37, 53)])
def test_any_size_is_kept(nuisance, size, strength):
    disturbed = applied(nuisance, photo(*size), strength)
    assert disturbed.shape == (*size, 3)
    assert disturbed.dtype == np.uint8


@ALL
@pytest.mark.parametrize("shade", [0, 90, 255])
def test_plain_photos_pass(nuisance, shade):
    image = np.full((20, 30, 3), shade, np.uint8)
    assert applied(nuisance, image, 1.0).shape == image.shape


@ALL
def test_the_photo_is_not_written_to_and_chance_is_repeatable(nuisance):
    image = photo(37, 53)
    before = image.copy()
    first = applied(nuisance, image, 0.7)
    np.testing.assert_array_equal(applied(nuisance, image, 0.7), first)
    np.testing.assert_array_equal(image, before)
    assert (first != image).any()


@ALL
def test_the_difference_grows_with_the_strength(nuisance):
    image = photo()
    for photo_id in "abcdef":
        differences = [
            np.abs(applied(nuisance, image, strength, photo_id).astype(float) - image).mean()
            for strength in (0.0, *STRENGTHS)
        ]
        assert (np.diff(differences) > 0).all(), differences


@ALL
def test_chance_depends_neither_on_strength_nor_on_size(nuisance):
    following = set()
    for size in ((96, 120), (37, 53), (1, 1)):
        for strength in STRENGTHS:
            rng = generator(nuisance.name, "a", 0)
            nuisance.apply(photo(*size), strength, rng)
            following.add(rng.random())
    assert len(following) == 1


@ALL
def test_photos_are_disturbed_in_directions_of_their_own(nuisance):
    image = photo(37, 53)
    disturbed = {applied(nuisance, image, 1.0, str(name)).tobytes() for name in range(20)}
    expected = 1 if nuisance.name in ONE_WAY else 2 if nuisance.name in TWO_WAYS else 20
    assert len(disturbed) == expected


def test_another_seed_gives_other_directions():
    light = NUISANCES["light"]
    first, second = (applied(light, photo(), 1.0, seed=seed) for seed in (0, 1))
    assert (first != second).any()


def test_nuisances_do_not_share_their_chance():
    assert generator("light", "a", 0).random() != generator("colour", "a", 0).random()


def test_chance_is_the_same_on_every_machine():
    assert generator("light", "a", 0).random() == pytest.approx(0.5521383201580554, abs=1e-15)


@ALL
@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_beyond_its_range_is_refused(nuisance, strength):
    with pytest.raises(ValueError, match=f"strength of {nuisance.name} has to lie in 0..1"):
        applied(nuisance, photo(), strength)


def test_find_nuisances():
    assert [each.name for each in find_nuisances(["blur", "light"])] == ["blur", "light"]
    assert find_nuisances() == tuple(NUISANCES.values())


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["blurr"], "there is no nuisance 'blurr'.*did you mean 'blur'"),
        (["blur", "color"], "did you mean 'colour'"),
        (["xyz"], "only light, brightness"),
        (["blur", "blur"], "once; got blur, blur"),
        ([], "got none"),
    ],
)
def test_wrong_names_are_refused(names, message):
    with pytest.raises(NuisanceError, match=message):
        find_nuisances(names)
