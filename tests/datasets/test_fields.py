"""Fields: types of a list's further columns, and what is refused in them."""

import datetime
import json

import pyarrow as pa
import pytest

from fashion_jax.datasets.photo_lists.fields import (
    FieldTypeError,
    field_column,
    field_text,
    parse_types,
    plain_value,
    type_name,
)
from fashion_jax.datasets.photo_lists.problems import PhotoListError
from tests.datasets.photo_lists import fields_of, parquet, read, refused


def column(*cells, **options):
    """Values and type of a column of CSV with these cells."""
    lines = [f'{n}.jpg,1,"{cell}"' for n, cell in enumerate(cells)]
    rows = read("\n".join(["photo,product,x y", *lines]), **options).rows
    values = rows["field:x y"]
    return values.to_pylist(), type_name(values.type)


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=datetime.UTC)


@pytest.mark.parametrize(
    ("cells", "values", "kind"),
    [
        (("1", "-2.50", "0"), [1, -2.5, 0], "number"),
        (("", "7"), [None, 7], "number"),
        ((".5", "10"), [0.5, 10], "number"),
        (("00123", "7"), ["00123", "7"], "text"),  # a leading zero belongs to a name
        (("1234567890123456", "7"), ["1234567890123456", "7"], "text"),  # 16 digits
        (("+49123", "7"), ["+49123", "7"], "text"),
        (("9,90", "7"), ["9,90", "7"], "text"),
        (("true", "FALSE"), [True, False], "boolean"),
        (("yes", "no"), ["yes", "no"], "text"),  # may be Norway
        (("2026-11-27",), [utc(2026, 11, 27)], "time"),
        (("2026-11-27 08:30", "2026-01-01"), [utc(2026, 11, 27, 8, 30), utc(2026, 1, 1)], "time"),
        (("2026-11-27T08:30:00+01:00",), [utc(2026, 11, 27, 7, 30)], "time"),
        (('[""S"",""M""]', "[]"), [["S", "M"], []], "texts"),
        (("S|M",), ["S|M"], "text"),
        (("None", "red"), ["None", "red"], "text"),  # a brand, perhaps
        ((" red ", "dark  red"), ["red", "dark  red"], "text"),
    ],
    ids=str,
)
def test_types_of_csv_follow_from_all_cells(cells, values, kind):
    assert column(*cells) == (values, kind)


@pytest.mark.parametrize(
    ("cells", "kind", "values"),
    [
        (("00123", "7"), "number", [123, 7]),
        (("4E2", "7"), "number", [400, 7]),
        (("1", "2"), "text", ["1", "2"]),
        (("yes", "0"), "boolean", [True, False]),
        (("S | M", ""), "texts", [["S", "M"], None]),
        (("2026-11-27",), "text", ["2026-11-27"]),
        (("",), "number", [None]),
    ],
)
def test_types_can_be_given(cells, kind, values):
    assert column(*cells, types={"x y": kind, "other": "text"}) == (values, kind)


def test_columns_without_any_value_are_no_fields():
    assert fields_of(read("photo,product,price\na.jpg,1,\n")) == {}


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        ("red", "number", "x y must be a number"),
        ("9,90", "number", "x y must be a number, with a decimal point"),
        ("1e999", "number", "x y must be a number"),
        ("maybe", "boolean", "x y must be true or false"),
        ("27.11.2026", "time", "x y must be a time, such as 2026-11-27"),
        ("2026-02-30", "time", "x y must be a time"),
        ("[1]", "texts", "x y must be a list of texts"),
    ],
)
def test_cells_of_another_type_are_refused_with_their_lines(cell, kind, message):
    text = f'photo,product,x y\na.jpg,1,\nb.jpg,1,"{cell}"\n'
    told = refused(text, types={"x y": kind})
    assert message in told
    assert f"line 3: '{cell}'" in told


@pytest.mark.parametrize("word", ["#N/A", "nan", "NULL", "None", "-", "?"])
def test_words_for_nothing_among_numbers_are_refused_unless_named(word):
    text = f"photo,product,price\na.jpg,1,9.90\nb.jpg,1,{word}\n"
    told = refused(text)
    assert "price has words among its numbers or times" in told
    assert f"line 3: '{word}'" in told
    assert fields_of(read(text, none=[word.upper()])) == {"price": [9.9, None]}
    assert fields_of(read(text, types={"price": "text"})) == {"price": ["9.90", word]}


def test_words_that_mean_nothing_hold_for_known_columns():
    text = "photo,product,category\na.jpg,1,-\n"
    assert read(text, none=["-"]).rows["category"].to_pylist() == ["item"]
    assert "product is empty" in refused("photo,product\na.jpg,n/a\n", none=["N/A"])


def test_numbers_that_a_spreadsheet_rounded_are_refused():
    told = refused('photo,product,ean\na.jpg,1,"4,00638E+12"\n')
    assert "ean was rounded by a spreadsheet" in told
    assert "line 2" in told


def test_types_of_parquet_are_kept():
    day = datetime.date(2026, 11, 27)
    listed = read(
        parquet(
            {
                "photo": ["a.jpg", "b.jpg"],
                "product": ["1", "2"],
                "ean": pa.array(["4006381333931", "0012"]),
                "price": pa.array([49.9, None], pa.float32()),
                "stock": pa.array([3, 4], pa.int8()),
                "rating": [1.5, float("nan")],
                "number": pa.array([2**60, 1], pa.int64()),
                "sold": [True, None],
                "since": [day, day],
                "sizes": [["S", "M"], None],
                "colour": pa.array(["red", " "]).dictionary_encode(),
                "nothing": pa.nulls(2),
            }
        )
    )
    assert fields_of(listed) == {
        "ean": ["4006381333931", "0012"],
        "price": [49.9, None],
        "stock": [3, 4],
        "rating": [1.5, None],
        "number": [str(2**60), "1"],
        "sold": [True, None],
        "since": [utc(2026, 11, 27)] * 2,
        "sizes": [["S", "M"], None],
        "colour": ["red", None],
    }


def test_a_type_that_no_field_has_is_refused():
    told = refused(parquet({"photo": ["a"], "product": ["1"], "size": [{"cm": 3}]}))
    assert "column size is of type struct<cm: int64>" in told
    told = refused(
        parquet({"photo": ["a"], "product": ["1"], "price": [1]}), types={"price": "time"}
    )
    assert "column price is a number, but must be a time" in told


def lines(*rows):
    return "\n".join(map(json.dumps, rows)) + "\n"


def test_json_lines():
    listed = read(
        lines(
            {"product": "007", "photo": "a.jpg", "price": 9.5, "sizes": ["S"], "new": True},
            {"photo": "b.jpg", "product": 17, "x": 1, "y": 2, "width": 30, "height": 40.5},
            {"photo": "c.jpg", "product": "x", "price": 7, "sizes": None, "since": "2026-11-27"},
        )
    )
    assert listed.rows["product"].to_pylist() == ["007", "17", "x"]
    assert listed.rows["height"].to_pylist() == [None, 40.5, None]
    assert fields_of(listed) == {
        "price": [9.5, None, 7],
        "sizes": [["S"], None, None],
        "new": [True, None, None],
        "since": [None, None, utc(2026, 11, 27)],
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"photo": "a", "product": "1"}\n\n{"photo": \n', "damaged JSON (1 row):\n    line 3: "),
        ('{"photo": "a", "product": "1"}\n[1]\n', "line 2: a line has to be an object"),
        ('{"photo": "a", "product": "1", "product": "2"}\n', "the field 'product' occurs twice"),
        ('{"photo": "a", "product": true}\n', "product: has to be text or a number, not True"),
        (lines({"photo": "a", "product": "1", "x y": {"a": 1}}), "values of the types dict"),
        (
            lines({"photo": "a", "product": "1", "z": 1}, {"photo": "b", "product": "1", "z": "1"}),
            "values of the types int, str",
        ),
        (lines({"photo": "a", "product": "1", "z": 2**60}), "make them text"),
        ("{}\n", "column photo is missing"),
    ],
)
def test_json_lines_that_are_wrong(content, message):
    assert message in refused(content)


@pytest.mark.parametrize("header", ["price,Price", "pri ce,pri_ce", "photo_id"])
def test_columns_of_one_name_are_refused(header):
    assert "occurs more than once" in refused(f"photo,product,{header}\na.jpg,1,2,3\n")


def test_rows_that_repeat_a_photo_must_agree_in_their_fields():
    text = "photo,product,price,sizes\n" + 'a.jpg,1,9,"[]"\n' * 2
    assert len(read(text).rows) == 1
    told = refused(text + 'a.jpg,1,8,"[]"\n')
    assert "line 4: price 8.0, but line 2 has price 9.0" in told


def test_given_types_are_checked():
    assert parse_types("price = number,colour=text,") == {"price": "number", "colour": "text"}
    for wrong in ("price", "price=float", "=text"):
        with pytest.raises(FieldTypeError, match="NAME=TYPE with a type among text, number"):
            parse_types(wrong)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (3.0, 3),
        (-0.5, -0.5),
        (2.0**60, 2.0**60),
        (True, True),
        (["a"], ["a"]),
        (utc(2026, 11, 27), "2026-11-27"),
        (utc(2026, 11, 27, 8, 30), "2026-11-27T08:30:00Z"),
    ],
)
def test_values_as_people_write_them(value, plain):
    assert plain_value(value) == plain
    assert type(plain_value(value)) is type(plain)


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.0, "3"), (True, "true"), (["S", "M"], "S|M"), (utc(2026, 1, 2), "2026-01-02")],
)
def test_values_in_a_line_for_people(value, text):
    assert field_text(value) == text


@pytest.mark.parametrize(
    "values", [[1, "a"], [True, 1], [b"a"], [["a", 1]], [{}], ["\ud800"], [2**70]], ids=str
)
def test_values_that_no_field_can_hold(values):
    with pytest.raises(FieldTypeError, match="the field 'x'"):
        field_column("x", values)


def test_a_damaged_parquet_file_is_refused():
    with pytest.raises(PhotoListError, match="damaged Parquet"):
        read(b"PAR1" + b"\0" * 40)
