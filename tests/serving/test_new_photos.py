"""Folders and lists of photos that are to be added."""

import os

import pytest

from fashion_jax.datasets.boxes import Box
from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Item, Origin
from fashion_jax.serving.new_photos import (
    UNKNOWN_PRODUCT,
    Defaults,
    find_photos,
    read_list,
    read_names,
)

DEFAULTS = Defaults("tops", "7", "street")


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"anything")


def test_a_folders_files_are_named_by_their_paths_below_it(tmp_path):
    make(tmp_path / "in", "b.jpg", "a/é 1.png", "a/.hidden", ".git/x.jpg")
    make(tmp_path, "single.webp")
    photos = find_photos(tmp_path / "in", tmp_path / "single.webp", defaults=DEFAULTS)
    assert list(photos) == [
        Item("a/é 1.png", "7", "tops", "street"),
        Item("b.jpg", "7", "tops", "street"),
        Item("single.webp", "7", "tops", "street"),
    ]
    assert photos.origin(0) == Origin(str(tmp_path / "in" / "a" / "é 1.png"))


def test_a_single_folder_as_text_with_nothing_known(tmp_path):
    make(tmp_path, "a.jpg")
    (photo,) = find_photos(str(tmp_path))
    assert photo == Item("a.jpg", UNKNOWN_PRODUCT, "item", "shop")


def test_places_without_photos_are_refused(tmp_path):
    with pytest.raises(FashionJaxError, match="no photo and no folder at"):
        find_photos(tmp_path / "nowhere", defaults=DEFAULTS)
    with pytest.raises(FashionJaxError, match="no photo in"):
        find_photos(tmp_path, defaults=DEFAULTS)


def test_two_photos_of_one_name_are_refused(tmp_path):
    make(tmp_path, "a/1.jpg", "b/1.jpg", "b/2.jpg")
    with pytest.raises(FashionJaxError, match=r"1 photos share an id: 1\.jpg"):
        find_photos(tmp_path / "a", tmp_path / "b", defaults=DEFAULTS)


def test_names_that_are_no_unicode_are_refused(tmp_path):
    make(tmp_path, "good.jpg", os.fsdecode(b"bad\xff.jpg"))
    with pytest.raises(FashionJaxError, match=r"1 photos have names that are not Unicode.*bad"):
        find_photos(tmp_path, defaults=DEFAULTS)


def test_a_list_says_what_is_known(tmp_path):
    text = (
        '\ufeffProduct, photo ,category\n0012,a/1.jpg,dresses\n,"b,2.jpg",\n\n13, a/1.jpg ,hats\n'
    )
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    photos = read_list(tmp_path / "list.csv", tmp_path, DEFAULTS)
    assert list(photos) == [
        Item("a/1.jpg", "0012", "dresses", "street"),
        Item("a/1.jpg", "13", "hats", "street"),
        Item("b,2.jpg", "7", "tops", "street"),
    ]
    assert photos.origin(2) == Origin(str(tmp_path / "b,2.jpg"))


def test_a_list_of_names_only(tmp_path):
    (tmp_path / "list.csv").write_text("photo\r\n1.jpg\r\n2.jpg\r\n")
    photos = read_list(tmp_path / "list.csv", tmp_path, Defaults())
    assert list(photos) == [
        Item("1.jpg", UNKNOWN_PRODUCT, "item", "shop"),
        Item("2.jpg", UNKNOWN_PRODUCT, "item", "shop"),
    ]


def test_the_list_that_built_a_dataset(tmp_path):
    text = (
        "photo;identity;domain;split;xmin;ymin;xmax;ymax\n"
        "./a.jpg;A-17;street;query;0.25;0.5;0.75;1\n"
        "x/../a.jpg;A-17;street;gallery;0.25;0.5;0.75;1\n"
    )
    (tmp_path / "list.csv").write_text(text)
    photos = read_list(tmp_path / "list.csv", tmp_path, Defaults())
    assert list(photos) == [Item("a.jpg", "A-17", "item", "street")]
    origin = photos.origin(0)
    assert (origin.box, origin.box_unit) == (Box(0.25, 0.5, 0.5, 0.5), "fraction")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the first line is empty"),
        ("photo\n", "no row below the names"),
        ("category,product\n", "column photo is missing"),
        ("photo,catgory\na,b\n", r"did you mean .category.\?"),
        ("photo,photo\na,b\n", "column photo occurs more than once"),
        ("photo,product\n,1\na,1\n", r"photo is empty \(1 row\):\n    line 2"),
        ("photo,product\na,#N/A\n", "product is a word for a missing value"),
        ("photo\n/etc/x.jpg\n", "line 2: '/etc/x.jpg'"),
        ("photo\n../x.jpg\n", "line 2: '../x.jpg'"),
        ("photo\ngs://bucket/x.jpg\n", "1 photos of .* are in object storage"),
        ("photo,category\na,b,c\n", "line 2: 3 cells"),
        ('photo\n"a\n', "is never closed"),
        (b"photo\n\xff\n", "not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, text, message):
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FashionJaxError, match=message):
        read_list(tmp_path / "list.csv", tmp_path, DEFAULTS)


def test_a_list_and_its_folder_have_to_be_there(tmp_path):
    with pytest.raises(FashionJaxError, match="No such file"):
        read_list(tmp_path / "list.csv", tmp_path, DEFAULTS)
    (tmp_path / "list.csv").write_text("photo\na\n")
    with pytest.raises(FashionJaxError, match="name it with --photos"):
        read_list(tmp_path / "list.csv", tmp_path / "nowhere", DEFAULTS)


def test_names_one_a_line(tmp_path):
    (tmp_path / "names.txt").write_text("a,1.jpg\n\nb 2.jpg \r\n", encoding="utf-8")
    assert read_names(tmp_path / "names.txt") == ["a,1.jpg", "b 2.jpg "]
    (tmp_path / "names.txt").write_bytes(b"\xff")
    with pytest.raises(FashionJaxError, match="not text in UTF-8"):
        read_names(tmp_path / "names.txt")


def test_an_unknown_domain_is_refused():
    with pytest.raises(FashionJaxError, match="street or shop"):
        Defaults(domain="studio")
