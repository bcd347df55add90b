import numpy as np
import pytest

from fashion_jax.evaluation.protocol import Labels, ProtocolError, ignored, pools


def labels(identity, category, camera=None):
    camera = [-1] * len(identity) if camera is None else camera
    return Labels(np.array(identity), np.array(category), np.array(camera))


QUERIES = labels([0, 1, 2, 3], ["hats", "bags", "hats", "belts"])
GALLERY = labels([0, 1, 1, 2], ["hats", "bags", "bags", "hats"])


def as_lists(protocol):
    return [(p.queries.tolist(), p.gallery.tolist()) for p in pools(protocol, QUERIES, GALLERY)]


def test_instance_is_the_whole_gallery():
    assert as_lists("instance") == [([0, 1, 2, 3], [0, 1, 2, 3])]


def test_in_category_is_the_querys_own_category():
    assert as_lists("in_category") == [([1], [1, 2]), ([3], []), ([0, 2], [0, 3])]


@pytest.mark.parametrize(
    ("wrong", "message"), [("in_categorie", "did you mean 'in_category'"), ("x", "only instance")]
)
def test_an_unknown_protocol_names_the_right_ones(wrong, message):
    with pytest.raises(ProtocolError, match=message):
        pools(wrong, QUERIES, GALLERY)


def test_columns_must_be_equally_long():
    with pytest.raises(ProtocolError, match="2 identities, 1 categories and 2 cameras"):
        labels([0, 1], ["hats"])


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
    gallery = labels([5, 5, 5, 6], ["hats"] * 4, [1, 2, -1, 1])
    assert ignored(identity, camera, gallery).tolist() == left_out
