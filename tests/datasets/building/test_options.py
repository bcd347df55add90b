import dataclasses
import pathlib

import numpy as np
import pytest
from fashion_jax.data_builders.deepfashion_consumer2shop.deepfashion_consumer2shop import (
    Consumer2ShopOptions,
)

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.base import BuildOptions
from fashion_jax.datasets.building.crops import CropOptions, locate, process_photo
from fashion_jax.datasets.building.options import (
    OptionError,
    choice,
    given_options,
    make_options,
    option,
)
from fashion_jax.datasets.building.plan import PlannedItem
from fashion_jax.datasets.photos import decode_photo
from fashion_jax.datasets.records import Domain


@dataclasses.dataclass(frozen=True)
class Options:
    number: float = option(0.5, most=2)
    count: int = option(3, least=1)
    word: str = choice("red", "green", "blue")
    name: str = ""


def test_texts_of_a_command_line_become_values():
    values = {"number": "1.25", "count": "7", "word": "blue", "name": "x"}
    assert make_options(Options, values) == Options(1.25, 7, "blue", "x")


def test_a_path_is_the_text_of_it():
    assert make_options(Options, {"name": pathlib.Path("lists/all.csv")}).name == "lists/all.csv"


def test_only_what_was_given_is_given():
    assert given_options(Options, {"count": "7"}) == {"count": 7}
    assert make_options(Options, {}) == Options()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cuont": "7"}, "unknown builder option 'cuont'.*did you mean 'count'"),
        ({"xyz": "7"}, "unknown builder option 'xyz'; known are number, count, word, name"),
        ({"count": "7.5"}, "count must be a whole number of at least 1, not '7.5'"),
        ({"count": "0"}, "count must be a whole number of at least 1"),
        ({"number": "nan"}, r"number must be a number in 0\.\.2, not 'nan'"),
        ({"number": "2.5"}, r"number must be a number in 0\.\.2"),
        ({"count": True}, "count must be a whole number"),
        ({"word": "rde"}, "word must be one of red, green, blue, not 'rde'"),
        ({"name": 7}, "name must be a text, not 7"),
    ],
)
def test_wrong_names_and_values(values, message):
    with pytest.raises(OptionError, match=message):
        make_options(Options, values)


def test_every_builder_has_the_options_of_crops():
    names = {field.name for field in dataclasses.fields(Consumer2ShopOptions)}
    assert {"margin", "longest_side", "jpeg_quality"} < names
    assert issubclass(Consumer2ShopOptions, BuildOptions)


class OnePhoto:
    """A photo of 100×80 pixels (width×height), each of which shows its own place."""

    def __init__(self):
        y, x = np.mgrid[0:80, 0:100]
        self.pixels = np.stack([x * 2, y * 3, x + y], axis=2).astype(np.uint8)

    def __contains__(self, photo_id):
        return True

    def load(self, photo_id):
        return self.pixels


def item(box):
    return PlannedItem(
        photo_id="p", category="hats", identity=("1",), domain=Domain.STREET, box=box
    )


@pytest.mark.parametrize(
    ("box", "margin", "cut"),
    [
        (Box(30, 20, 40, 30), 0.0, Box(30, 20, 40, 30)),
        # A tenth of 40 across on both sides, a tenth of 30 down.
        (Box(30, 20, 40, 30), 0.1, Box(26, 17, 48, 36)),
        (Box(30, 20, 40, 30), 0.5, Box(10, 5, 80, 60)),
        # What of the margin lies outside the photo is cut off, on each side.
        (Box(2, 20, 40, 30), 0.1, Box(0, 17, 46, 36)),
        (Box(30, 1, 40, 30), 0.1, Box(26, 0, 48, 34)),
        (Box(58, 20, 40, 30), 0.1, Box(54, 17, 46, 36)),
        (Box(30, 48, 40, 30), 0.1, Box(26, 45, 48, 35)),
        (Box(30, 20, 40, 30), 9.0, Box(0, 0, 100, 80)),
    ],
)
def test_margin_is_added_on_each_side_and_ends_at_the_border(box, margin, cut):
    place = locate(item(box), OnePhoto(), 80, 100, margin)
    assert place.cut == cut
    assert place.box == box
    assert place.defect is None


@pytest.mark.parametrize("margin", [0.0, 0.1, 9.0])
def test_stored_pixels_are_those_of_the_margin(margin):
    photos = OnePhoto()
    box = Box(58, 20, 40, 30)
    options = CropOptions(margin=margin, jpeg_quality=100)
    (stored,) = process_photo([item(box)], photos, options, encode=True).stored
    cut = locate(item(box), photos, 80, 100, margin).cut
    source = photos.pixels[cut.y : cut.y + cut.height, cut.x : cut.x + cut.width]
    decoded = decode_photo(stored.jpeg)
    assert decoded.shape == source.shape
    assert np.abs(decoded.astype(int) - source).mean() < 3


@pytest.mark.parametrize(
    ("longest_side", "shape"), [(20, (15, 20, 3)), (40, (30, 40, 3)), (1, (1, 1, 3))]
)
def test_longest_side_shrinks_and_never_enlarges(longest_side, shape):
    options = CropOptions(longest_side=longest_side)
    (stored,) = process_photo([item(Box(30, 20, 40, 30))], OnePhoto(), options, encode=True).stored
    assert decode_photo(stored.jpeg).shape == shape


def test_lower_jpeg_quality_takes_fewer_bytes():
    def length(quality):
        options = CropOptions(jpeg_quality=quality)
        box = item(Box(0, 0, 100, 80))
        return len(process_photo([box], OnePhoto(), options, encode=True).stored[0].jpeg)

    assert length(30) < length(75) < length(95)
