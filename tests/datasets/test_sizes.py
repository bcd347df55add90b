"""Sizes of training photos: read from texts, drawn by batch."""

from collections import Counter

import pytest

from fashion_jax.config import ImageConfig
from fashion_jax.datasets.sizes import parse_size, size_of_batch, training_sizes
from fashion_jax.errors import FashionJaxError

SIZES = training_sizes(ImageConfig(256, 128, ("160x96", "320x160"), pixel_mean=(1.0, 2.0, 3.0)))


@pytest.mark.parametrize("text", ["", "160", "160x", "x96", "0x96", "160X96", "160x96x3", "-1x96"])
def test_another_form_is_an_error(text):
    with pytest.raises(FashionJaxError, match=r"height x width .* such as '160x96', got"):
        parse_size(text)


def test_own_size_comes_first_and_all_else_stays():
    assert [(size.height, size.width) for size in SIZES] == [(256, 128), (160, 96), (320, 160)]
    assert {size.pixel_mean for size in SIZES} == {(1.0, 2.0, 3.0)}


def test_one_size_is_always_drawn():
    (alone,) = training_sizes(ImageConfig(32, 16))
    assert {size_of_batch((alone,), 3, step) for step in range(20)} == {alone}


def test_size_depends_on_seed_and_step_only():
    forward = [size_of_batch(SIZES, 3, step) for step in range(50)]
    backward = [size_of_batch(SIZES, 3, step) for step in reversed(range(50))]
    assert backward[::-1] == forward
    assert [size_of_batch(SIZES, 4, step) for step in range(50)] != forward


def test_sizes_are_drawn_equally_often():
    drawn = Counter(size_of_batch(SIZES, 0, step) for step in range(3000))
    assert set(drawn) == set(SIZES)
    assert all(900 < times < 1100 for times in drawn.values())  # 1000, with a deviation of 26
