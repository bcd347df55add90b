import dataclasses

import numpy as np
import pytest

from fashion_jax.metrics.labels import Labels, MetricsError
from fashion_jax.metrics.protocol import find_protocol, ignored


def labels(identity, category, camera=None, photo=None):
    camera = [-1] * len(identity) if camera is None else camera
    photo = range(len(identity)) if photo is None else photo
    return Labels(*map(np.array, (identity, category, camera, photo)))


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
    ("wrong", "message"),
    [("in_categorie", "did you mean 'in_category'"), ("x", "choose from instance")],
)
def test_an_unknown_protocol_names_the_right_ones(wrong, message):
    with pytest.raises(MetricsError, match=message):
        find_protocol(wrong)


@pytest.mark.parametrize("protocol", ["in_category", "in_category_item", "in_category_centroid"])
@pytest.mark.parametrize("side", ["queries", "gallery"])
def test_a_protocol_on_categories_refuses_photos_without(protocol, side):
    without = dataclasses.replace(QUERIES if side == "queries" else GALLERY, category=None)
    sides = {"queries": QUERIES, "gallery": GALLERY} | {side: without}
    with pytest.raises(MetricsError, match=f"protocol {protocol} needs .* the {side} come without"):
        list(find_protocol(protocol).pools(**sides))


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


def test_without_photo_ids_and_cameras_nothing_is_left_out():
    gallery, query = Labels(np.array([5, 5])), Labels(np.array([5]))
    assert ignored(query, 0, gallery).tolist() == [False, False]
