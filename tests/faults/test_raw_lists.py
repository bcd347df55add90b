"""Numbers in raw datasets that no float, no camera and no report can hold: refused by name."""

import json

import pytest
from fashion_jax.data_builders.market1501.layout import read_photo_names
from fashion_jax.data_builders.street2shop.lists import read_lists
from fashion_jax.data_builders.synthetic_street2shop.synthetic_street2shop import SyntheticOptions

from fashion_jax.datasets.building.base import BuildOptions
from fashion_jax.datasets.building.list_files import ListError, ListProblems, pixels, read_table
from fashion_jax.datasets.building.options import OptionError, make_options

HUGE = ["9" * 400, "9" * 5000, "1e308", "-1e308", "1e400", "nan", "1000000000"]


def read(tmp_path, announced, number):
    """Read a list of one row in DeepFashion's format."""
    path = tmp_path / "list.txt"
    path.write_text(f"{announced}\nx\n{number}\n")
    problems = ListProblems("lists")
    table = read_table(path, ["x"], lambda fields: pixels(fields[0], "x"), problems)
    problems.raise_any()
    return table


@pytest.mark.parametrize("number", HUGE, ids=lambda number: number[:12])
def test_numbers_that_no_box_has(number, tmp_path):
    with pytest.raises(ListError, match="line 3: x must be a number of pixels, not"):
        read(tmp_path, 1, number)


@pytest.mark.parametrize("announced", ["9" * 5000, "", "-1", "1.0"], ids=lambda text: text[:12])
def test_numbers_of_rows_that_are_none(announced, tmp_path):
    with pytest.raises(ListError, match="line 1: the number of rows was expected, not"):
        read(tmp_path, announced, 1)


def test_numbers_of_boxes_and_rows(tmp_path):
    table = read(tmp_path, " 12 ", "-3.5")
    assert (table.announced, table.rows) == (12, [-3.5])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"photo": "9" * 5000, "product": 1}, "photo must be a whole number, not '999"),
        ({"photo": 1, "product": "9" * 5000}, "product must be a whole number, not '999"),
        *(
            (
                {"photo": 1, "product": 1, "bbox": dict.fromkeys(("width", "height", *names), n)},
                "bbox .* must be a number of pixels, not",
            )
            for names, n in ((("left", "top"), 10**400), (("left", "top"), -1e308))
        ),
    ],
)
def test_street2shop_numbers_that_are_too_long(row, message, tmp_path):
    path = tmp_path / "list.json"
    path.write_text(json.dumps([row]))
    with pytest.raises(ListError, match=message):
        read_lists({"hats": {"train_pairs": path}})


def test_cameras_that_no_record_can_hold(tmp_path):
    folder = tmp_path / "query"
    folder.mkdir()
    (tmp_path / "bounding_box_test").mkdir()
    names = [f"0001_c{camera}s1_000001_00.jpg" for camera in (1, 2**31 - 1, 2**31, "9" * 60)]
    for name in names:
        (folder / name).touch()
    listing = read_photo_names(tmp_path)
    assert {photo.camera for photo in listing.folders["query"]} == {1, 2**31 - 1}
    assert sorted(listing.misnamed) == sorted(f"query/{name}" for name in names[2:])


@pytest.mark.parametrize("seed", [2**63, 10**400, "9" * 400, "9" * 5000], ids=lambda _: "")
def test_seeds_that_no_report_can_hold(seed):
    assert make_options(BuildOptions, {"seed": 2**63 - 1}).seed == 2**63 - 1
    with pytest.raises(
        OptionError, match=r"seed must be a whole number in 0\.\.9223372036854775807"
    ):
        make_options(BuildOptions, {"seed": seed})


@pytest.mark.parametrize("name", ["train_identities", "distractors", "longest_side"])
def test_drawings_that_no_memory_can_hold(name):
    with pytest.raises(OptionError, match=f"{name} must be a whole number in"):
        make_options(SyntheticOptions, {name: 10**9})
