import types

import numpy as np
import pytest

from fashion_jax.datasets.records import domain_names
from fashion_jax.metrics.labels import (
    Labels,
    MetricsError,
    check_pair,
    loses_other_products,
    numbered,
)
from tests.datasets.fakes import FakeSplit


def texts(*values):
    return np.array(values)


def test_columns_must_be_equally_long():
    with pytest.raises(MetricsError, match="found 2 of identity, 1 of category, 2 of camera"):
        Labels(np.arange(2), texts("hats"), np.arange(2))
    with pytest.raises(MetricsError, match="found 2 of identity, 3 of photo_id"):
        Labels(np.arange(2), photo_id=texts("a", "b", "c"))


def test_only_the_identity_is_required():
    labels = Labels(np.arange(3))
    assert len(labels) == 3
    optional = (labels.category, labels.camera, labels.photo_id, labels.domain)
    assert optional == (None, None, None, None)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"identity": np.array([0.5, 1.0])}, "identity has dtype float64; expected integers or"),
        ({"identity": np.array([True, False])}, "identity has dtype bool"),
        ({"identity": np.array(["a", None], object)}, "identity has dtype object"),
        ({"identity": np.zeros((2, 1), int)}, r"identity has shape \(2, 1\); expected one value"),
        ({"identity": np.arange(2), "photo_id": np.array([0.0, np.nan])}, "photo_id has dtype"),
    ],
)
def test_values_that_cannot_be_compared_are_refused(columns, message):
    with pytest.raises(MetricsError, match=message):
        Labels(**columns)


def test_columns_of_text_objects_become_texts():
    labels = Labels(np.array(["coat", "hat"], dtype=object))
    assert labels.identity.dtype.kind == "U"
    assert labels.identity.tolist() == ["coat", "hat"]


def test_of_a_split_its_columns_with_names_of_domains():
    split = FakeSplit("query", 1)
    labels = Labels.of(split, domain_names(split.domain))
    for name in ("identity", "category", "camera", "photo_id"):
        assert getattr(labels, name).tolist() == getattr(split, name).tolist()
    assert labels.domain.tolist() == ["street", "street", "shop", "shop"]


def test_of_any_object_what_it_has():
    labels = Labels.of(types.SimpleNamespace(identity=np.array([3, 4]), camera=np.array([0, -1])))
    assert labels.identity.tolist() == [3, 4]
    assert labels.camera.tolist() == [0, -1]
    assert labels.photo_id is None


def test_rows_are_taken_from_every_column():
    labels = Labels(
        np.array([5, 6, 7]), texts("hats", "bags", "tops"), np.array([1, 2, 3]), texts(*"abc")
    )
    taken = labels.take(np.array([2, 0]))
    columns = (taken.identity, taken.category, taken.camera, taken.photo_id)
    assert [column.tolist() for column in columns] == [[7, 5], ["tops", "hats"], [3, 1], ["c", "a"]]
    assert taken.domain is None


def test_numbers_are_equal_where_values_are():
    queries = Labels(np.array([7, 5, 7]), photo_id=texts("a.jpg", "street/long name.jpg", "b.jpg"))
    gallery = Labels(np.array([5, 9]), photo_id=texts("b.jpg", "a.jpg"))
    asked, found = numbered(queries, gallery)
    assert [each.identity.tolist() for each in (asked, found)] == [[0, 1, 0], [1, 2]]
    assert [each.photo_id.tolist() for each in (asked, found)] == [[0, 1, 2], [2, 0]]
    assert all(
        each.photo_id is None for each in numbered(Labels(np.arange(2)), Labels(np.arange(1)))
    )


@pytest.mark.parametrize(
    ("query", "gallery", "message"),
    [
        ({"camera": np.zeros(2, int)}, {}, "camera is missing for the gallery only"),
        ({}, {"photo_id": np.arange(2)}, "photo_id is missing for the queries only"),
        (
            {"photo_id": texts("1", "2")},
            {"photo_id": np.arange(2)},
            "photo_id holds texts for the queries and integers for the gallery",
        ),
    ],
)
def test_columns_that_never_match_are_refused(query, gallery, message):
    with pytest.raises(MetricsError, match=message):
        check_pair(Labels(np.arange(2), **query), Labels(np.arange(2), **gallery))


def test_identities_of_two_kinds_are_refused():
    with pytest.raises(MetricsError, match="identity holds integers for the queries and texts"):
        check_pair(Labels(np.arange(2)), Labels(texts("0", "1")))
    check_pair(Labels(np.arange(0)), Labels(texts("0", "1")))  # no queries have no kind


def test_queries_that_lose_photos_of_other_products():
    # Photo 1 shows products 5 and 6, photo 2 product 5 alone, photo 3 product 7 alone.
    gallery = Labels(np.array([5, 6, 5, 7]), photo_id=np.array([1, 1, 2, 3]))
    queries = Labels(np.array([5, 6, 5, 5, 5, 8]), photo_id=np.array([1, 1, 2, 3, 4, 1]))
    lost = loses_other_products(*numbered(queries, gallery))
    assert lost.tolist() == [True, True, False, True, False, True]
    assert not loses_other_products(Labels(np.arange(3)), Labels(np.arange(3))).any()
