"""Each corruption against values worked out by hand."""

import itertools
import math

import cv2
import numpy as np
import pytest

from fashion_jax.datasets.corruptions import CORRUPTIONS, generator
from fashion_jax.datasets.corruptions.detail import jpeg_quality
from fashion_jax.datasets.corruptions.geometry import _homography, _slopes
from fashion_jax.datasets.corruptions.light import expose, to_linear, to_srgb


def outcomes(name, image, severity):
    """A photo corrupted under many names."""
    corruption = CORRUPTIONS[name]
    return [
        corruption.apply(image, severity, generator(name, str(photo_id), 0))
        for photo_id in range(12)
    ]


def grey(value, height=40, width=60):
    return np.full((height, width, 3), value, np.uint8)


def spot(x, y):
    """A white spot about a pixel of a black photo of 101×101 pixels."""
    image = np.zeros((101, 101, 3), np.uint8)
    image[y - 2 : y + 3, x - 2 : x + 3] = 255
    return image


def centre(image):
    y, x = np.indices(image.shape[:2])
    weights = image[:, :, 0].astype(float)
    return (x * weights).sum() / weights.sum(), (y * weights).sum() / weights.sum()


def stops(before, after):
    return np.log2(to_linear(after) / to_linear(before))


def test_linear_light_is_that_of_the_standard():
    pixels = np.array([[[0, 10, 60], [128, 188, 255]]], np.uint8)
    expected = [[[0, 0.003035, 0.045186], [0.215861, 0.502886, 1]]]
    np.testing.assert_allclose(to_linear(pixels), expected, rtol=1e-4)


def test_all_pixels_come_back_from_linear_light():
    pixels = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, axis=2)
    np.testing.assert_array_equal(to_srgb(to_linear(pixels)), pixels)


def test_a_stop_doubles_the_light():
    brighter = expose(grey(60), np.ones((1, 1, 1)))
    # 2 · 0.045186 = 0.090372; 1.055 · 0.090372^(1/2.4) − 0.055 = 0.3326; · 255 = 84.8
    assert np.unique(brighter).tolist() == [85]


def test_brightness():
    # 0.045186 · 2^±2.5 = 0.25561, 0.0079879 -> 138.4, 21.9 of 255
    found = {int(image[0, 0, 0]) for image in outcomes("brightness", grey(60), 1.0)}
    assert found == {138, 22}


def test_contrast():
    image = grey(100)
    image[:, 30:] = 200
    # mean 150; at severity 0.5 the factor is 4^±0.5 = 2 or 1/2
    found = {(int(o[0, 0, 0]), int(o[0, 59, 2])) for o in outcomes("contrast", image, 0.5)}
    assert found == {(50, 250), (125, 175)}


def test_contrast_pivots_on_the_brightness_that_people_see():
    image = np.zeros((4, 4, 3), np.uint8)
    image[..., 1] = 200  # green: 0.587 · 200 = 117.4; (0 − 117.4) / 2 + 117.4 = 58.7
    found = {tuple(o[0, 0].tolist()) for o in outcomes("contrast", image, 0.5)}
    assert (59, 159, 59) in found


def test_what_full_severity_is_has_numbers():
    # how much: a reader of the page has to know without the code
    for corruption in CORRUPTIONS.values():
        assert any(character.isdigit() for character in corruption.full_severity)


def test_colour_shifts_channels_against_each_other():
    for image in outcomes("colour", grey(90), 1.0):
        gains = stops(grey(90), image)[0, 0]
        assert abs(gains.sum()) < 0.06  # rounding to whole pixel values
        assert 0.84 < np.abs(gains).max() < 1.02


def test_light_falls_from_one_side_to_the_other():
    for image in outcomes("light", grey(90), 1.0):
        change = stops(grey(90), image)
        assert 1.4 < change.max() < 1.52  # a corner
        assert -3.1 < change.min() < -1.9  # the fall of light alone gives -1.5
        assert 0.3 < (change < -0.5).mean() < 0.7


@pytest.mark.parametrize("severity", [0.5, 1.0])
def test_rotation(severity):
    angle = math.radians(45 * severity)
    x, y = 20 * math.cos(angle), 20 * math.sin(angle)
    found = {tuple(np.round(centre(o))) for o in outcomes("rotation", spot(70, 50), severity)}
    assert found == {(round(50 + x), round(50 + y)), (round(50 + x), round(50 - y))}


def test_zoom_doubles_distances_from_the_middle_or_halves_them():
    found = outcomes("zoom", spot(70, 50), 1.0)
    bright = {tuple(np.flatnonzero(o[50, :, 0] > 200).tolist()) for o in found}
    assert {round(np.mean(columns)) for columns in bright} == {60, 90}  # 50 + 20 / 2, 50 + 2 · 20


def test_what_a_zoomed_out_photo_does_not_cover_continues_its_edge():
    image = grey(0, 101, 101)
    image[:, 100] = 255
    found = outcomes("zoom", image, 1.0)
    bright = {tuple(np.flatnonzero(o[50, :, 0] == 255).tolist()) for o in found}
    # The right edge comes to lie at 50 + 50 / 2; zoomed in, it is out of the frame.
    assert bright == {(), tuple(range(75, 101))}


def test_view_angle_is_the_image_of_a_turned_plane():
    homography = _homography(grey(0, 101, 101), 0.0, math.radians(50))
    middle = homography @ [50, 50, 1]
    np.testing.assert_allclose(middle / middle[2], [50, 50, 1])
    # 30 below the axis: f y cos θ / (f + y sin θ) = 151.5 · 19.284 / (151.5 + 22.981) = 16.744
    below = homography @ [50, 80, 1]
    np.testing.assert_allclose(below / below[2], [50, 66.744, 1], atol=1e-3)
    # on the axis nothing moves
    beside = homography @ [90, 50, 1]
    np.testing.assert_allclose(beside / beside[2], [90, 50, 1])


def test_crumpling_shades_by_no_more_than_its_stops_and_both_ways():
    for image in outcomes("crumpling", grey(90), 1.0):
        change = stops(grey(90), image)
        assert -1.6 < change.min() < -0.5
        assert 0.5 < change.max() < 1.6


def test_the_steepest_slope_of_a_crumpled_surface_is_1():
    image = np.zeros((128, 128, 3), np.uint8)
    along_x, along_y = _slopes(image, np.random.default_rng(0))
    assert np.hypot(along_x, along_y).max() == pytest.approx(1)


def test_crumpling_moves_no_part_farther_than_it_says():
    # black left of the middle, white right of it: beyond 8 % of the longest side nothing changes
    image = grey(0, 100, 100)
    image[:, 50:] = 255
    for corrupted in outcomes("crumpling", image, 1.0):
        assert (corrupted[10:-10, 10:41] == 0).all()
        assert (corrupted[10:-10, 59:90] > 0).all()
        assert (corrupted[:, 42:58] != image[:, 42:58]).any()


def test_resolution_averages_detail_away():
    checks = np.indices((80, 80)).sum(axis=0) % 2 * 255
    image = np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8)
    # from 80 to 20 pixels: half of the way is 40, each the mean of two black and two white ones
    (corrupted, *_) = outcomes("resolution", image, 0.5)
    assert set(np.unique(corrupted)) <= {127, 128}


def test_resolution_keeps_at_least_one_pixel():
    image = np.zeros((400, 2, 3), np.uint8)
    image[:, 1] = 100
    (corrupted, *_) = outcomes("resolution", image, 1.0)
    assert np.unique(corrupted).tolist() == [50]


def test_resolution_leaves_a_photo_alone_that_is_small_already():
    image = np.random.default_rng(0).integers(0, 256, (20, 12, 3), dtype=np.uint8)
    (corrupted, *_) = outcomes("resolution", image, 1.0)
    np.testing.assert_array_equal(corrupted, image)


def test_blur_has_the_width_that_it_says():
    image = grey(0, 200, 200)
    image[:, 100:] = 255
    (corrupted, *_) = outcomes("blur", image, 1.0)
    # σ = 6 pixels; at one σ beyond the edge (99.5 + 6) a Gaussian's integral is 0.8413
    assert corrupted[100, 105:107, 0].mean() == pytest.approx(0.8413 * 255, abs=1.5)


def test_jpeg_is_that_of_the_quality():
    assert [jpeg_quality(severity) for severity in (0.5, 1.0)] == [24, 6]  # √(95 · 6) = 23.9
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 6])[1]
    (corrupted, *_) = outcomes("jpeg", image, 1.0)
    np.testing.assert_array_equal(corrupted, cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


@pytest.mark.parametrize("severity", [0.2, 0.6, 1.0])
def test_occlusion_hides_a_rectangle_of_the_right_area(severity):
    image = np.full((200, 300, 3), 7, np.uint8)
    for corrupted in outcomes("occlusion", image, severity):
        hidden = (corrupted != image).any(axis=2)
        assert hidden.mean() == pytest.approx(0.5 * severity, abs=0.01)
        assert len(np.unique(corrupted[hidden], axis=0)) == 1
        rows, columns = np.flatnonzero(hidden.any(axis=1)), np.flatnonzero(hidden.any(axis=0))
        assert hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()


def test_a_stronger_occlusion_holds_the_weaker_one():
    image = np.full((37, 53, 3), 7, np.uint8)
    masks = [
        [(each != image).any(axis=2) for each in outcomes("occlusion", image, severity)]
        for severity in (0.2, 0.4, 0.6, 0.8, 1.0)
    ]
    for weaker, stronger in itertools.pairwise(masks):
        for small, large in zip(weaker, stronger, strict=True):
            assert (large | ~small).all()
