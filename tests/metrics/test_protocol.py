import numpy as np
import pytest

from fashion_jax.metrics.protocol import (
    Labels,
    ProtocolError,
    find_protocol,
    ignored,
    with_photo_numbers,
)


def labels(identity, category, camera=None, photo=None):
    camera = [-1] * len(identity) if camera is None else camera
    photo = range(len(identity)) if photo is None else photo
    columns = (identity, category, camera, photo, [0] * len(identity))
    return Labels(*map(np.array, columns))


QUERIES = labels([0, 1, 2, 3], ["hats", "bags", "hats", "belts"])
GALLERY = labels([0, 1, 1, 2], ["hats", "bags", "bags", "hats"])


def as_lists(protocol):
    return [
        (p.queries.tolist(), p.gallery.tolist())
        for p in find_protocol(protocol).pools(QUERIES, GALLERY)
    ]


def test_instance_is_the_whole_gallery():
    assert as_lists("instance") == [([0, 1, 2, 3], [0, 1, 2, 3])]


def test_in_category_is_the_querys_own_category():
    assert as_lists("in_category") == [([1], [1, 2]), ([3], []), ([0, 2], [0, 3])]


@pytest.mark.parametrize(
    ("wrong", "message"), [("in_categorie", "did you mean 'in_category'"), ("x", "only instance")]
)
def test_an_unknown_protocol_names_the_right_ones(wrong, message):
    with pytest.raises(ProtocolError, match=message):
        find_protocol(wrong)


def test_columns_must_be_equally_long():
    message = "2 identities, 1 categories, 2 cameras, 2 photos"
    with pytest.raises(ProtocolError, match=message):
        labels([0, 1], ["hats"])
    with pytest.raises(ProtocolError, match="2 cameras, 3 photos"):
        labels([0, 1], ["hats", "hats"], photo=["a", "b", "c"])


@pytest.mark.parametrize(
    ("identity", "camera", "left_out"),
    [
        (5, 1, [True, False, False, False]),
        (5, 2, [False, True, False, False]),
        (5, 3, [False] * 4),
        (5, -1, [False] * 4),
        (6, 1, [False, False, False, True]),
    ],
)
def test_left_out_is_the_same_product_by_the_same_known_camera(identity, camera, left_out):
    gallery = labels([5, 5, 5, 6], ["hats"] * 4, [1, 2, -1, 1], list("abcd"))
    query = labels([9, identity], ["hats"] * 2, [1, camera], ["a", "z"])
    assert ignored(query, 1, gallery).tolist() == left_out


@pytest.mark.parametrize(
    ("photo", "camera", "left_out"),
    [
        ("b", -1, [False, True, True, False]),  # two products on one photo
        ("c", -1, [False, False, False, True]),
        ("z", -1, [False] * 4),
        ("c", 1, [True, False, False, True]),  # its product by its camera, and itself
    ],
)
def test_left_out_is_the_photo_itself_whatever_product_is_on_it(photo, camera, left_out):
    gallery = labels([5, 5, 6, 5], ["hats"] * 4, [1, 2, 1, 3], ["a", "b", "b", "c"])
    query = labels([5], ["hats"], [camera], [photo])
    assert ignored(query, 0, gallery).tolist() == left_out


def test_numbers_of_photos_are_those_of_their_ids():
    queries = labels([1, 2, 3], ["hats"] * 3, photo=["a.jpg", "street/long name.jpg", "b.jpg"])
    gallery = labels([1, 2], ["hats"] * 2, photo=["b.jpg", "a.jpg"])
    numbered = with_photo_numbers(queries, gallery)
    assert [each.photo_id.tolist() for each in numbered] == [[0, 1, 2], [2, 0]]
    assert numbered[0].identity.tolist() == [1, 2, 3]


def test_rows_are_taken_from_every_column():
    taken = labels([5, 6, 7], ["hats", "bags", "tops"], [1, 2, 3], list("abc")).take(
        np.array([2, 0])
    )
    columns = (taken.identity, taken.category, taken.camera, taken.photo_id)
    assert [column.tolist() for column in columns] == [[7, 5], ["tops", "hats"], [3, 1], ["c", "a"]]
