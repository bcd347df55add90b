"""Lists from spreadsheets, databases and annotation tools: understood, or refused by name."""

import contextlib
import os
import struct
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from fashion_jax.data_builders.catalogue.catalogue import CatalogueBuilder

from fashion_jax.datasets.boxes import Box, to_pixels, unit_of
from fashion_jax.datasets.dataset import open_dataset, products_of
from fashion_jax.datasets.photo_lists import cells
from fashion_jax.datasets.photo_lists.problems import PhotoListError
from fashion_jax.datasets.photos import encode_jpeg
from fashion_jax.serving.new_photos import Defaults, read_list
from tests.datasets.photo_lists import fields_of, parquet, read, refused


def boxes_of(listed):
    return [tuple(row[name] for name in ("x", "y", "width", "height")) for row in rows_of(listed)]


def rows_of(listed):
    return listed.rows.to_pylist()


CORNERS = [
    "xmin,ymin,xmax,ymax",
    "x_min,y_min,x_max,y_max",
    "XMin,YMin,XMax,YMax",
    "Min X,Min Y,Max X,Max Y",
    "x1,y1,x2,y2",
    "x_1,y_1,x_2,y_2",
    "x0,y0,x1,y1",
    "left,top,right,bottom",
    "bbox_x1,bbox_y1,bbox_x2,bbox_y2",
    "box left,box top,box right,box bottom",
]
SIZES = [
    "x,y,w,h",
    "X,Y,Width,Height",
    "left,top,width,height",
    "xmin,ymin,w,h",
    "bbox_x,bbox_y,bbox_w,bbox_h",
    "bbox-x,bbox-y,bbox-width,bbox-height",
    "x0,y0,width,height",
    "bndbox.x,bndbox.y,bndbox.w,bndbox.h",
]
CENTRES = ["cx,cy,w,h", "x_center,y_center,width,height", "xc,yc,w,h", "centre_x,centre_y,w,h"]
CASES = [
    *((names, "20,40,100,130") for names in CORNERS),
    *((names, "20,40,80,90") for names in SIZES),
    *((names, "60,85,80,90") for names in CENTRES),
]


@pytest.mark.parametrize(("names", "numbers"), CASES, ids=[names for names, _ in CASES])
def test_boxes_in_any_usual_spelling(names, numbers):
    listed = read(f"photo,product,{names}\na.jpg,1,{numbers}\nb.jpg,2,,,,\n")
    assert boxes_of(listed) == [(20, 40, 80, 90), (None,) * 4]
    assert (listed.box_unit, fields_of(listed)) == ("pixels", {})


def test_the_photos_size_beside_corners_is_another_column():
    listed = read("filename,width,height,product,xmin,ymin,xmax,ymax\na,640,480,1,20,40,100,130\n")
    assert boxes_of(listed) == [(20, 40, 80, 90)]
    assert list(fields_of(listed)) == ["width", "height"]


@pytest.mark.parametrize(
    "names",
    [
        *("bbox", "box", "bounding box", "bndbox", "xywh", "coordinates"),
        *("x,y", "w,h", "xmin,ymin", "xmin,ymin,xmax", "x1,y1", "cx,cy", "x,y,w", "left,right"),
        *("x,y,x2,y2,w,h,cx", "x,x,y,w,h", "xmax,ymax,w,h", "bbox,x,y,w,h", "right,bottom"),
    ],
)
def test_boxes_that_are_not_four_columns_are_refused(names):
    text = refused(f"photo,product,{names}\na.jpg,1{',1' * (names.count(',') + 1)}\n")
    assert "not a box in four columns; write x, y, width, height, or xmin" in text


@pytest.mark.parametrize("name", ["box_count", "x_ray", "widthwise", "top_seller", "height_cm"])
def test_other_columns_that_only_sound_like_boxes_stay_columns(name):
    assert list(fields_of(read(f"photo,product,{name}\na.jpg,1,9\n"))) == [name]


@pytest.mark.parametrize(
    ("header", "photo", "product"),
    [
        ("image,sku", "a", "b"),
        ("File Name,Product ID", "a", "b"),
        ("path,article-number", "a", "b"),
        ("photo,image,product,sku", "a", "c"),
        ("filepath,item_id,price", "a", "b"),
    ],
)
def test_other_names_of_columns_count_where_the_column_is_missing(header, photo, product):
    (row,) = rows_of(
        read(f"{header}\na,b,c,d\n".replace(",c,d", ",c,d"[: 2 * (header.count(",") - 1)]))
    )
    assert (row["photo"], row["product"]) == (photo, product)


def test_two_other_names_of_one_column_are_a_question():
    text = refused("photo,sku,item_id\na,1,2\n")
    assert "columns sku and item_id may each be the product: name one of them product" in text


FRACTIONS = ["0.2,0.25,0.6,0.6", "0,0,1,0.5", "0.5,0.5,0.5,0.5", "-0.02,0,1.02,1", "0.001,0,0.9,1"]


@pytest.mark.parametrize("numbers", FRACTIONS)
def test_boxes_below_a_pixel_are_fractions(numbers):
    listed = read(f"photo,product,x,y,width,height\na,1,{numbers}\nb,2,0.1,0.1,0.5,0.5\nc,3,,,,\n")
    assert listed.box_unit == "fraction"


@pytest.mark.parametrize("numbers", ["20,40,80,90", "0,0,2,2", "0.5,0.5,30.5,40.25", "0,0,0,0"])
def test_other_boxes_are_in_pixels(numbers):
    assert read(f"photo,product,x,y,width,height\na,1,{numbers}\n").box_unit == "pixels"


def test_fractions_beside_pixels_are_refused_by_line():
    text = refused("photo,product,x,y,w,h\na,1,20,30,40,50\nb,2,0.2,0.2,0.5,0.5\n")
    assert "x, y, w, h is below a pixel, but other boxes are in pixels (1 row)" in text
    assert "line 3: x 0.2, y 0.2, w 0.5, h 0.5" in text


@pytest.mark.parametrize(
    ("unit", "box"),
    [
        ("pixels", (12, 20, 60, 40)),
        ("fraction", (0.1, 0.1, 0.5, 0.2)),
        ("percent", (10, 10, 50, 20)),
    ],
)
def test_units_become_pixels(unit, box):
    got = to_pixels(Box(*box), unit, 200, 120)
    assert (got.x, got.y, got.width, got.height) == pytest.approx((12, 20, 60, 40))


def test_nothing_has_the_unit_of_pixels():
    assert unit_of(np.empty((0, 4))) == unit_of(np.full((3, 4), np.nan)) == "pixels"


MISSING = ["#N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "#REF!", "#VALUE!", "<NA>", "NaT"]
MISSING += ["#DIV/0!", "#NAME?", "-", "undefined", "(null)", "\\N", " #n/a "]


@pytest.mark.parametrize("word", MISSING)
def test_words_for_nothing_are_no_products(word):
    text = refused(f"photo,sku\na.jpg,1\nb.jpg,{word}\nc.jpg,{word}\n")
    assert "sku is a word for a missing value" in text
    assert f"(2 rows):\n    line 3: {word.strip()!r}" in text


@pytest.mark.parametrize("number", ["4.00638E+12", "4,00638E+12", "1E+05", "-1.2e+06", "7e+15"])
def test_numbers_that_a_spreadsheet_rounded_are_no_products(number):
    text = refused(f'photo,product\na.jpg,"{number}"\n')
    assert "product was rounded by a spreadsheet: format the column as text" in text
    assert f"line 2: {number!r}" in text


@pytest.mark.parametrize(
    "name", ["00123", "12E5", "AB-12/7", "Nantes", "none-1", "NA-7", "1e", "N"]
)
def test_other_products_stay_as_they_are(name):
    assert rows_of(read(f"photo,product\na.jpg,{name}\n"))[0]["product"] == name


def test_products_of_parquet():
    photos = ["a", "b", "c"]
    listed = read(parquet({"photo": photos, "product": [17.0, 18.0, 4006381333931.0]}))
    assert [row["product"] for row in rows_of(listed)] == ["17", "18", "4006381333931"]
    assert "row 2: 'nan'" in refused(parquet({"photo": photos, "product": [17.0, np.nan, 1.5]}))
    assert "product is empty (1 row)" in refused(
        parquet({"photo": photos, "product": [17.0, None, 1.0]})
    )
    text = refused(parquet({"photo": photos, "product": [1.0, 2.0, 2.0**60]}))
    assert "decimal numbers above 2^53, which lost digits" in text


@pytest.mark.parametrize(
    ("one", "other"),
    [("17", "17.0"), ("AB-1", "ab-1"), ("007", "7"), ("A 1", "A1"), ("17", "１７"), ("0", "0.00")],
)
def test_products_that_hardly_differ_are_named(one, other):
    listed = read(f"photo,product\na.jpg,{one}\nb.jpg,{other}\nc.jpg,else\n")
    assert len({row["product"] for row in rows_of(listed)}) == 3
    (pair,) = listed.problems["products_alike"]
    assert repr(one) in pair
    assert repr(other) in pair


@pytest.mark.parametrize(
    "other",
    [
        unicodedata.normalize("NFD", "été"),
        "ét\u200bé",
        "\ufeffété",
        "été\u00ad",
        " été\u00a0",
        "été\u2060",
    ],
)
def test_what_looks_the_same_is_one_product(other):
    listed = read(f"photo,product\na.jpg,été\nb.jpg,{other}\n")
    assert {row["product"] for row in rows_of(listed)} == {"été"}


@pytest.mark.parametrize(
    "path", ["./a.jpg", "x/../a.jpg", "././a.jpg", "x//../a.jpg", "x/y/../../a.jpg"]
)
def test_spellings_of_a_path_are_one_photo(path):
    listed = read(f"photo,product\na.jpg,1\n{path},1\n")
    assert [row["photo"] for row in rows_of(listed)] == ["a.jpg"]
    assert listed.problems["repeated_row"] == ["a.jpg"]


@pytest.mark.parametrize(
    "path",
    ["../a.jpg", "/a.jpg", "x/../../a.jpg", "//a.jpg", "..", ".", "x/..", "a.jpg/", "./../x"],
)
def test_paths_that_lead_outside_are_refused(path):
    assert f"line 2: {path!r}" in refused(f"photo,product\n{path},1\n")


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_excels_own_first_line_and_empty_rows(first, end):
    rows = [first, "photo;product;category", "a,1.jpg;7;tops", ";;", "b.jpg;8;", ";;", ";;", ""]
    listed = read(end.join(rows))
    assert [row["photo"] for row in rows_of(listed)] == ["a,1.jpg", "b.jpg"]
    wrong = end.join([*rows[:4], "c.jpg;#N/A;"])
    assert "line 5: '#N/A'" in refused(wrong)


def test_lists_of_too_many_rows_or_letters_are_refused(monkeypatch):
    monkeypatch.setattr(cells, "MAX_ROWS", 3)
    rows = "".join(f"{n}.jpg,1\n" for n in range(4))
    assert "4 rows; the limit is 3: divide the list" in refused("photo,product\n" + rows)
    four = parquet({"photo": list("abcd"), "product": ["1"] * 4})
    assert "4 rows; the limit is 3" in refused(four)
    monkeypatch.setattr(cells, "MAX_ROWS", 4)
    assert len(rows_of(read(four))) == 4
    monkeypatch.setattr(cells, "MAX_TEXT", 3)
    assert "has 4 characters; the limit is 3" in refused(four)


def test_rows_that_take_no_room_are_counted_before_they_are_read():
    photos = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), ["a" * 30_000])
    data = parquet({"photo": photos, "product": ["1"] * 100_000})
    assert len(data) < 100_000
    assert "column photo has 3,000,000,000 characters" in refused(data)


@pytest.mark.slow
def test_damaged_parquet_is_one_error():
    rng = np.random.default_rng(0)
    whole = parquet({"photo": ["a.jpg", "b.jpg"], "product": ["1", "2"], "x": [1.0, 2.0]})
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(4, len(data), 3):
            data[place] = rng.integers(256)
        with contextlib.suppress(PhotoListError):  # nothing else may be raised
            read(bytes(data))


@pytest.mark.slow
def test_damaged_csv_is_one_error():
    rng = np.random.default_rng(0)
    whole = 'photo,product,x,y,w,h\n"a,b.jpg",Ä 1,1,2,30,40\nc.jpg,2,5,6,70,80\n'.encode()
    parts = [b'"', b",", b"\n", b"\r", b"\0", b";", b"\xff", b"nan", b"1e999", b"=", b"../"]
    for _ in range(200):
        data = bytearray(whole)
        for place in rng.integers(0, len(data), rng.integers(1, 4)):
            data[place : place + rng.integers(3)] = parts[rng.integers(len(parts))]
        with contextlib.suppress(PhotoListError):  # nothing else may be raised
            read(bytes(data))


def _photos(folder, names, size=(160, 120)):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_jpeg(rng.integers(0, 255, (*size, 3), np.uint8)))


def _list(path, box, header="x,y,width,height", count=12):
    lines = [f"{n}.jpg,{n // 2:05d},{box}" for n in range(count)]
    path.write_text("\n".join([f"photo,product,{header}", *lines]) + "\n")


def _builder(tmp_path, **options):
    return CatalogueBuilder(
        manifest=tmp_path / "items.csv",
        photos=tmp_path / "photos",
        data_dir=tmp_path / "data",
        progress=False,
        threads=1,
        **options,
    )


def _sizes(tmp_path):
    split = open_dataset("catalogue", tmp_path / "data").split("train")
    heads = [split.image_bytes(row) for row in range(len(split))]
    return {_jpeg_size(head) for head in heads}, products_of(split)


def _jpeg_size(data):
    place = 2
    while data[place + 1] not in (0xC0, 0xC2):
        place += 2 + struct.unpack(">H", data[place + 2 : place + 4])[0]
    return struct.unpack(">HH", data[place + 5 : place + 9])


@pytest.mark.parametrize(
    ("box", "options"),
    [("0.25,0.25,0.5,0.5", {}), ("25,25,50,50", {"box_unit": "percent"}), ("30,40,60,80", {})],
)
def test_a_built_record_is_the_box_whatever_its_unit(box, options, tmp_path):
    _photos(tmp_path / "photos", [f"{n}.jpg" for n in range(12)])
    _list(tmp_path / "items.csv", box)
    _builder(tmp_path, **options).download_and_prepare()
    sizes, products = _sizes(tmp_path)
    assert sizes == {(80, 60)}
    assert set(products) <= {f"{n:05d}" for n in range(6)}


@pytest.mark.parametrize("box", ["5,5,40,40", "10,20,30,50"])
def test_boxes_of_another_scale_are_refused_until_they_are_said_to_be_right(box, tmp_path):
    _photos(tmp_path / "photos", [f"{n}.jpg" for n in range(12)], (400, 300))
    _list(tmp_path / "items.csv", box)
    with pytest.raises(PhotoListError, match=r"on none of 12 photos does a box reach beyond 1\d%"):
        _builder(tmp_path).check()
    report = _builder(tmp_path, box_unit="pixels").check()
    assert report.counts["photos"]["usable"] == 12


def test_few_boxes_may_lie_anywhere(tmp_path):
    _photos(tmp_path / "photos", [f"{n}.jpg" for n in range(8)], (400, 300))
    _list(tmp_path / "items.csv", "5,5,40,40", count=8)
    assert _builder(tmp_path).check().counts["photos"]["usable"] == 8


def test_crops_of_a_few_pixels_are_counted(tmp_path):
    _photos(tmp_path / "photos", [f"{n}.jpg" for n in range(8)])
    _list(tmp_path / "items.csv", "5,5,15,40", count=8)
    report = _builder(tmp_path).check()
    assert len(report.problems["box_tiny"]) == 8


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
@pytest.mark.parametrize("listed", ["NFC", "NFD"])
def test_letters_in_one_or_two_characters_find_the_same_file(on_disk, listed, tmp_path):
    names = [f"robe_été_{n}.jpg" for n in range(4)]
    _photos(tmp_path / "photos", [unicodedata.normalize(on_disk, name) for name in names])
    lines = [f"{unicodedata.normalize(listed, name)},{n // 2}" for n, name in enumerate(names)]
    (tmp_path / "items.csv").write_text("\n".join(["photo,product", *lines]) + "\n")
    assert _builder(tmp_path).check().counts["photos"]["usable"] == 4
    photos = read_list(tmp_path / "items.csv", tmp_path / "photos", Defaults())
    assert all(map(os.path.isfile, photos.column("source").to_pylist()))


def test_one_picture_under_two_products_is_named_by_a_check(tmp_path):
    _photos(tmp_path / "photos", [f"{n}.jpg" for n in range(8)])
    copies = {"copy.jpg": "0.jpg", "sub/again.jpg": "0.jpg", "own.jpg": "3.jpg"}
    for copy, original in copies.items():
        (tmp_path / "photos" / copy).parent.mkdir(exist_ok=True)
        content = (tmp_path / "photos" / original).read_bytes()
        (tmp_path / "photos" / copy).write_bytes(content + b"other bytes after the end")
    lines = [f"{n}.jpg,{n // 2}" for n in range(8)]
    lines += ["copy.jpg,2", "sub/again.jpg,3", "own.jpg,1"]  # own.jpg shows its own product
    (tmp_path / "items.csv").write_text("\n".join(["photo,product", *lines]) + "\n")
    named = _builder(tmp_path).check().problems["same_picture_of_two_products"]
    assert len(named) == 2
    assert {name for pair in named for name in pair.split(" and ")} == {
        "0.jpg",
        "copy.jpg",
        "sub/again.jpg",
    }
