"""Folders and lists of photos that are to be added."""

import os

import pytest

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.serving.photo_list import (
    UNKNOWN_PRODUCT,
    Defaults,
    find_photos,
    read_list,
    read_names,
)

DEFAULTS = Defaults("tops", 7, "street")


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"anything")


def test_a_folders_files_are_named_by_their_paths_below_it(tmp_path):
    make(tmp_path / "in", "b.jpg", "a/é 1.png", "a/.hidden", ".git/x.jpg")
    make(tmp_path, "single.webp")
    photos = find_photos(tmp_path / "in", tmp_path / "single.webp", defaults=DEFAULTS)
    assert [photo.item for photo in photos] == [
        Item("a/é 1.png", 7, "tops", "street"),
        Item("b.jpg", 7, "tops", "street"),
        Item("single.webp", 7, "tops", "street"),
    ]
    assert photos[0].path == tmp_path / "in" / "a" / "é 1.png"


def test_a_single_folder_as_text_with_nothing_known(tmp_path):
    make(tmp_path, "a.jpg")
    (photo,) = find_photos(str(tmp_path))
    assert photo.item == Item("a.jpg", UNKNOWN_PRODUCT, "item", "shop")


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


def test_a_list_says_category_and_product(tmp_path):
    text = '\ufeffProduct, photo ,category\n12,a/1.jpg,dresses\n,"b,2.jpg",\n\n13, a/1.jpg ,hats\n'
    (tmp_path / "list.csv").write_text(text, encoding="utf-8")
    photos = read_list(tmp_path / "list.csv", tmp_path, DEFAULTS)
    assert [photo.item for photo in photos] == [
        Item("a/1.jpg", 12, "dresses", "street"),
        Item("b,2.jpg", 7, "tops", "street"),
        Item("a/1.jpg", 13, "hats", "street"),
    ]
    assert photos[1].path == tmp_path / "b,2.jpg"


def test_a_list_of_names_only(tmp_path):
    (tmp_path / "list.csv").write_text("photo\r\n1.jpg\r\n2.jpg\r\n")
    photos = read_list(tmp_path / "list.csv", tmp_path, Defaults())
    assert [photo.item for photo in photos] == [
        Item("1.jpg", -1, "item", "shop"),
        Item("2.jpg", -1, "item", "shop"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none; expected photo"),
        ("photo\n", "no row below its header"),
        ("category,product\n", "has the columns category, product"),
        ("photo,catgory\na,b\n", r"did you mean category\?"),
        ("photo,photo\na,b\n", "has the columns photo, photo"),
        ("photo,product\n,1\na,1\n", "1 rows.*line 2: no photo is named"),
        ("photo,product\na,x1\nb,-2\n", "2 rows.*line 2: product 'x1' is not a number, line 3"),
        ("photo\n/etc/x.jpg\n", "line 2: /etc/x.jpg is not relative"),
        ("photo,category\na,b,c\n", "line 2: 3 cells, but 2 columns"),
        ("photo,product\na,1\na,1\n", "more than once with the same product: a"),
        ('photo\n"a\n', "is not a CSV file"),
        (b"photo\n\xff\n", "is not a CSV file in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(tmp_path, text, message):
    (tmp_path / "list.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FashionJaxError, match=message):
        read_list(tmp_path / "list.csv", tmp_path, DEFAULTS)


def test_a_list_and_its_folder_have_to_be_there(tmp_path):
    with pytest.raises(FashionJaxError, match="no list at"):
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
