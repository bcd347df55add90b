"""Lists of photos: what is right in them, and how everything that is wrong is told."""

import numpy as np
import pyarrow as pa
import pytest

from tests.datasets.photo_lists import fields_of, parquet, read, refused
from tests.dummy_data.catalogue import (
    REPEATED_PHOTO,
    manifest_rows,
    write_csv,
    write_parquet,
)

FULL = "photo,identity,domain,category,split,camera,x,y,width,height\n"
NOTHING = {
    **{"domain": "shop", "category": "item", "split": None, "camera": -1},
    **dict.fromkeys(("x", "y", "width", "height")),
}


def test_two_columns_are_enough():
    manifest = read("photo,identity\na.jpg,17\n")
    assert manifest.rows.to_pylist() == [{"photo": "a.jpg", "product": "17", **NOTHING}]
    assert manifest.problems == {
        "repeated_row": [],
        "unnamed_column": [],
        "products_alike": [],
    }


def test_every_column_in_any_order_and_case():
    text = (
        "Height, y ,CAMERA,split,category,identity,x,width,domain,photo\n"
        "40,2.5,3,Val_Query,hats, P 1 ,-1,3e1,STREET, ./a/b c.jpg \n"
    )
    assert read(text).rows.to_pylist() == [
        {
            **{"photo": "a/b c.jpg", "product": "P 1", "domain": "street", "category": "hats"},
            **{"split": "val_query", "camera": 3, "x": -1, "y": 2.5, "width": 30, "height": 40},
        }
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfphoto,identity\r\na.jpg,1\r\nb.jpg,\xc5\xbc\r\n",
        b"photo,identity\ra.jpg,1\rb.jpg,\xc5\xbc",
        b"photo;identity\na.jpg;1\n\n\nb.jpg;\xc5\xbc\n",
        b'"photo"\t"product"\n"a.jpg"\t1\nb.jpg\t" \xc5\xbc"\n',
        parquet({"product": ["1", "ż"], "photo": ["a.jpg", "b.jpg"]}),
    ],
    ids=["spreadsheet", "old Macintosh", "semicolons", "tabs", "Parquet"],
)
def test_forms_of_the_same_manifest(data):
    rows = read(data).rows
    assert rows["photo"].to_pylist() == ["a.jpg", "b.jpg"]
    assert rows["product"].to_pylist() == ["1", "ż"]


def test_quoted_cells_hold_anything():
    rows = read('photo,identity\n"a, ""b"".jpg","two\r\nlines"\n').rows.to_pylist()
    assert rows[0]["photo"] == 'a, "b".jpg'
    assert rows[0]["product"] == "two\r\nlines"


def test_further_columns_are_fields_and_those_without_a_name_are_reported():
    manifest = read("Price,photo,identity,,category_id\n9,a.jpg,1,,7\n")
    assert manifest.problems["unnamed_column"] == ["(no name)"]
    assert fields_of(manifest) == {"Price": [9], "category_id": [7]}


def test_rows_are_in_the_order_of_photos_whatever_the_manifests_order():
    rng = np.random.default_rng(0)
    lines = [f"{rng.integers(20):02d}.jpg,{i % 7},{i},0,5,5" for i in range(60)]
    header = "photo,identity,x,y,width,height\n"
    first = read(header + "\n".join(lines)).rows
    rng.shuffle(lines)
    assert read(header + "\n".join(lines)).rows.equals(first)
    photos = first["photo"].to_pylist()
    assert photos == sorted(photos)


def test_numbers_of_parquet_are_read_as_those_of_csv():
    columns = {
        "photo": ["a.jpg", "b.jpg"],
        "product": [17, 18],
        "camera": [3.0, None],  # as pandas has whole numbers with gaps
        "x": [1.5, None],
        **{name: [20, None] for name in ("y", "width", "height")},
        "category": pa.array(["hats", "hats"]).dictionary_encode(),
    }
    rows = read(parquet(columns)).rows
    text = "photo,identity,camera,x,y,width,height,category\n"
    text += "a.jpg,17,3,1.5,20,20,20,hats\nb.jpg,18,,,,,,hats\n"
    assert rows.equals(read(text).rows)
    assert rows["product"].to_pylist() == ["17", "18"]
    assert rows["camera"].to_pylist() == [3, -1]


def test_dummy_data_as_parquet_is_the_same(tmp_path):
    rows = manifest_rows()
    write_csv(tmp_path / "items.csv", rows)
    write_parquet(tmp_path / "items.parquet", rows)
    as_csv, as_parquet = (
        read((tmp_path / name).read_bytes()) for name in ("items.csv", "items.parquet")
    )
    assert as_csv.rows.equals(as_parquet.rows)
    assert as_csv.problems == as_parquet.problems
    assert as_csv.problems["repeated_row"] == [REPEATED_PHOTO]
    assert as_csv.sha256 != as_parquet.sha256


def test_a_repeated_row_counts_once():
    manifest = read("photo,identity,camera\na.jpg,1,\nb.jpg,1,\na.jpg, 1,\n")
    assert manifest.rows["photo"].to_pylist() == ["a.jpg", "b.jpg"]
    assert manifest.problems["repeated_row"] == ["a.jpg"]


def test_another_box_product_or_split_is_another_row():
    rows = ["train,,,,", "train,1,2,3,4", "train,1,2,3,5"]
    lines = [f"a.jpg,1,shop,hats,{row.replace(',', ',,', 1)}" for row in rows]
    assert read(FULL + "\n".join(lines)).rows.num_rows == 3
    assert read("photo,identity,split\na,1,query\na,1,gallery\na,2,query\n").rows.num_rows == 3


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (",1,,,,,,,,", "photo is empty (1 row):\n    line 2"),
        ("a.jpg, ,,,,,,,,", "identity is empty (1 row):\n    line 2"),
        ("/etc/passwd,1,,,,,,,,", "photo must be a path below --photos"),
        ("a/../../b.jpg,1,,,,,,,,", "line 2: 'a/../../b.jpg'"),
        (
            "..,1,,,,,,,,",
            "it must not start with / or lead outside (1 row):\n    line 2: '..'",
        ),
        ("a/,1,,,,,,,,", "line 2: 'a/'"),
        ("C:\\a.jpg,1,,,,,,,,", r"photo must have / between folders, no \, "),
        ("a\x00.jpg,1,,,,,,,,", r"line 2: 'a\x00.jpg'"),
        ("http://x/y.jpg,1,,,,,,,,", "photo in object storage must be gs:// or s3://"),
        ("file:///etc/passwd,1,,,,,,,,", "line 2: 'file:///etc/passwd'"),
        ("simplecache::gs://a/b,1,,,,,,,,", "line 2: 'simplecache::gs://a/b'"),
        ("gs://bucket/,1,,,,,,,,", "line 2: 'gs://bucket/'"),
        ("a.jpg,1,strret,,,,,,,", "domain must be one of street, shop (1 row):\n    line 2: 'st"),
        ("a.jpg,1,,,test,,,,,", "split must be one of train, query, gallery, val_query, val_gal"),
        (
            "a.jpg,1,,,,-1,,,,",
            "camera must be a whole number in 0..2147483647 (1 row):\n    line 2",
        ),
        ("a.jpg,1,,,,1.5,,,,", "line 2: '1.5'"),
        ("a.jpg,1,,,,2147483648,,,,", "line 2: '2147483648'"),
        ("a.jpg,1,,,,one,,,,", "line 2: 'one'"),
        ("a.jpg,1,,,,,a,2,3,4", "x must be a number (1 row):\n    line 2: 'a'"),
        ("a.jpg,1,,,,,1,nan,3,4", "y must be a number (1 row):\n    line 2: 'nan'"),
        ("a.jpg,1,,,,,1,2,inf,4", "width must be a number (1 row):\n    line 2: 'inf'"),
        ("a.jpg,1,,,,,1,2,3,1e400", "height must be a number (1 row):\n    line 2: '1e400'"),
        ('a.jpg,1,,,,,"1,5",2,3,4', "x must be a number (1 row):\n    line 2: '1,5'"),
        ("a.jpg,1,,,,,1,2,,4", "line 2: x 1, y 2, width (empty), height 4"),
        (
            "a.jpg,1",
            "not as many cells as there are columns (10) (1 row):\n    line 2: 2 cells, ['a",
        ),
        ("a.jpg,1,,,,,,,,,,", "line 2: 12 cells"),
        ('"a".jpg,1,,,,,,,,', "quotation marks that do not match (1 row):\n    line 2: ','"),
        ('"a.jpg,1,,,,,,,,', "line 2: a quotation mark opened in this row is never closed"),
    ],
)
def test_a_wrong_cell_is_told_by_line_column_and_value(row, message):
    text = refused(FULL + row + "\n")
    assert message in text
    assert text.startswith("items.csv: 1 problem:\n")


def test_numbers_that_are_right():
    numbers = ["0", "-3", "+4.", ".5", "1e2", "12.3400000000000000000000001"]
    lines = [f"{i}.jpg,1,,,,,{number},2,3,4" for i, number in enumerate(numbers)]
    assert read(FULL + "\n".join(lines)).rows["x"].to_pylist() == [0, -3, 4, 0.5, 100, 12.34]


def test_everything_is_told_at_once_counted_and_the_first_ones_shown():
    good = "a.jpg,1,shop,hats,,,,,,\n"
    text = refused(FULL + good + "b.jpg,1,shp,hats,,,,,,\n" * 1000 + ",2,shop,hats,,x,,,,\n")
    assert text.splitlines() == [
        "items.csv: 1,002 problems; the first of each kind:",
        "  photo is empty (1 row):",
        "    line 1,003",
        "  domain must be one of street, shop (1,000 rows):",
        *(f"    line {line}: 'shp'; did you mean 'shop'?" for line in range(3, 8)),
        "    … and 995 more",
        "  camera must be a whole number in 0..2147483647 (1 row):",
        "    line 1,003: 'x'",
    ]


def test_malformed_rows_do_not_hide_those_around_them():
    text = refused('photo,identity,camera\n"a"b,1,\nc.jpg,1,x\nd.jpg,1\n"e"f,1,\n"g.jpg,1,\n')
    assert "quotation marks that do not match (3 rows)" in text
    assert [f"line {line}: " in text for line in range(2, 7)] == [True] * 5


def test_lines_are_those_of_an_editor():
    lines = ["photo,identity,camera", '"a.jpg","two', 'lines",', "", "b.jpg,1,-7"]
    assert "line 5: '-7'" in refused("\n".join(lines))
    assert "line 5: '-7'" in refused("\r\n".join(lines))
    assert "line 5: '-7'" in refused("\r".join(lines))


@pytest.mark.parametrize("broken", [False, True])
def test_lines_far_down(broken):
    # More rows than are read at a time; one of them has lines in a cell, one may be malformed.
    lines = [f"{number}.jpg,1,0" for number in range(2, 70_001)]
    lines[40_000] = '"a","1\n2\n3",0'
    lines[50_000] = '"a"b,1,0' if broken else lines[50_000]
    lines[-1] = "z.jpg,1,-7"
    text = refused("\n".join(["photo,identity,camera", *lines]))
    assert "line 70,002: '-7'" in text
    assert ("line 50,004: " in text) == broken


def test_an_endless_quoted_cell_stops_the_reading():
    text = refused('photo,identity\n"a.jpg,1\n' + "b.jpg,1\n" * 30_000)
    assert "line 2: a quotation mark opened in this row is never closed" in text


def test_rows_of_parquet_are_counted_from_one():
    text = refused(parquet({"photo": ["a.jpg", None], "product": ["1", "1"], "camera": [0, -5]}))
    assert "photo is empty (1 row):\n    row 2" in text
    assert "row 2: '-5'" in text


def test_a_product_in_training_and_test():
    lines = ["photo,identity,split", "a,1,train", "b,1,gallery", "c,2,query", "d,2,val_gallery"]
    lines += ["e,1,query", "f,3,query", "g,3,gallery", "h,4,val_query", "i,4,val_gallery"]
    assert refused("\n".join(lines)).splitlines()[1:] == [
        "  product must be in one of training, validation and test only (2 products):",
        "    line 3: '1' is in gallery, but line 2 has it in train",
        "    line 5: '2' is in val_gallery, but line 4 has it in query",
    ]


def test_splits_in_some_rows_only():
    text = refused("photo,identity,split\na,1,train\nb,1,\nc,2,\n")
    assert "split is empty, but other rows have one" in text
    assert "(2 rows):\n    line 3\n    line 4" in text


def test_rows_that_disagree():
    text = refused("photo,identity,category,camera\na,1,hats,3\nb,1,,\na,1,hats,4\na,1,bags,4\n")
    assert text.splitlines()[1:] == [
        "  same photo, product, box and split as another row, but other values (2 rows):",
        "    line 4: camera 4, but line 2 has camera 3",
        "    line 5: category 'bags', camera 4, but line 2 has category 'hats', camera 3",
    ]


def test_rows_without_a_name_are_not_compared():
    text = refused("photo,identity,category\n,1,hats\n,1,bags\na,,hats\na,,bags\n")
    assert "photo is empty (2 rows)" in text
    assert "identity is empty (2 rows)" in text
    assert "another row" not in text


@pytest.mark.parametrize(
    ("header", "messages"),
    [
        (
            "foto,identity",
            ["column photo is missing", "'foto', 'identity'; required are photo"],
        ),
        ("photo", ["column product is missing"]),
        ("photo,identity,domian", ["unknown column 'domian'; did you mean 'domain'?"]),
        ("photo,identity,Categories", []),
        ("photo,identity,x,y,widht,height", ["x, y, height: not a box in four columns"]),
        ("photo,identity,x,y", ["x, y: not a box in four columns; write x, y, width, height"]),
        ("photo,identity,Photo", ["column photo occurs more than once"]),
        ("photo identity", ["column photo is missing; column product is missing"]),
    ],
)
def test_wrong_columns(header, messages):
    text = f"{header}\n{','.join('1' * (header.count(',') + 1))}\n"
    if not messages:
        assert list(fields_of(read(text))) == ["Categories"]
        return
    told = refused(text)
    assert all(message in told for message in messages)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the first line is empty"),
        (b"photo,identity\n", "no row below the names"),
        (b"photo,identity\n\n\r\n", "no row below the names"),
        (b"photo,identity\na.jpg\n", "1 problem:\n  not as many cells"),
        (b"photo,identity\na.jpg,1\ncaf\xe9.jpg,1\n", "line 3: not UTF-8: b'caf\\xe9.jpg,1'"),
        ("photo,identity\na,1\n".encode("utf-16"), "text in UTF-16: save it as UTF-8"),
        (b"PK\x03\x04...", "an Excel workbook or another zip file"),
        (b"PAR1", "damaged Parquet file"),
        (parquet({"photo": ["a"], "product": ["1"]})[:-9], "damaged Parquet file"),
        (parquet({"photo": ["a"]}), "column product is missing"),
        (parquet({"photo": [["a"]], "product": ["1"]}), "column photo is of type list<"),
        (parquet({"photo": [b"\xff"], "product": ["1"]}), "column photo is of type binary"),
        (b'"photo,identity\n', "line 1: "),
    ],
)
def test_what_is_no_manifest(data, message):
    assert message in refused(data)
