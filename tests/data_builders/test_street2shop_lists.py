import json

import pytest
from fashion_jax.data_builders.street2shop.lists import ListRow, read_lists

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.list_files import ListError


def read(tmp_path, role, content):
    path = tmp_path / f"{role}_hats.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_lists({"hats": {role: path}})[role]["hats"]


def test_rows_of_both_kinds(tmp_path):
    box = {"width": 1, "top": 2, "left": 3, "height": 4}
    row = {"photo": 7, "product": 3, "bbox": box}
    assert read(tmp_path, "train_pairs", [row]) == [ListRow(7, 3, Box(3, 2, 1, 4), None)]
    assert read(tmp_path, "retrieval", [{"photo": 7, "product": 3}]) == [ListRow(7, 3, None, None)]


@pytest.mark.parametrize(
    "box", [None, {}, {"left": 1, "top": 1}, {"left": 1, "top": 1, "width": 4, "height": None}]
)
def test_box_without_size(tmp_path, box):
    rows = read(tmp_path, "test_pairs", [{"photo": 1, "product": 2, "bbox": box}])
    assert rows == [ListRow(1, 2, None, "without_size")]


def test_numbers_as_text(tmp_path):
    assert read(tmp_path, "retrieval", [{"photo": "007", "product": "3"}])[0].photo == 7


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"photo": "x7", "product": 3}, "row 1: photo must be a whole number, not 'x7'"),
        ({"photo": 7}, "row 1: product must be a whole number, not None"),
        ({"photo": -7, "product": 1}, "photo must be a whole number, not -7"),
        ({"photo": True, "product": 1}, "photo must be a whole number, not True"),
        ([7, 3], r"row 1: an object was expected, not \[7, 3\]"),
        ({"photo": 7, "product": 3, "bbox": [1, 2]}, "bbox must be an object"),
        (
            {"photo": 7, "product": 3, "bbox": {"left": "a", "top": 1, "width": 2, "height": 2}},
            "bbox left must be a number of pixels, not 'a'",
        ),
        (
            {"photo": 7, "product": 3, "bbox": {"left": 1, "top": 1, "width": 1e999, "height": 2}},
            "bbox width must be a number of pixels, not inf",
        ),
    ],
)
def test_row_that_cannot_be_understood(tmp_path, row, message):
    good = {"photo": 1, "product": 1, "bbox": None}
    with pytest.raises(ListError, match=message):
        read(tmp_path, "train_pairs", [good, row])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[{", "test_pairs_hats.json: not JSON"),
        ("{}", r"a list of rows was expected, not \{\}"),
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('[{"photo": ' + "9" * 5000 + "}]", "not JSON: .* 5000 digits"),
        ('[{"photo": 1, "product": 1, "photo": 2}]', "not JSON: the field 'photo' occurs twice"),
        ('[{"photo": "\\ud800"}]', "not JSON: the field 'photo' holds half a surrogate pair"),
    ],
)
def test_file_that_cannot_be_understood(tmp_path, content, message):
    with pytest.raises(ListError, match=message):
        read(tmp_path, "test_pairs", content)


def test_all_problems_are_counted_and_the_first_ones_shown(tmp_path):
    with pytest.raises(ListError) as caught:
        read(tmp_path, "retrieval", [{"photo": None, "product": 1}] * 25)
    text = str(caught.value)
    assert "25 problem(s)" in text
    assert text.count("photo must be") == 10
    assert "and 15 more" in text
