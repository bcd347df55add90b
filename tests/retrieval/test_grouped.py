"""Answers by product and by field, by hand and by every kind of index."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError, Item
from fashion_jax.retrieval.catalogue.changes import add_photos, remove_photos
from fashion_jax.retrieval.catalogue.items import MOST_PHOTOS
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.grouped import Groups, nearest_groups
from tests.retrieval.changing_catalogues import CARD, DIMENSIONS, QUERIES
from tests.retrieval.unit_vectors import unit

COUNT = 400
VECTORS = unit(np.random.default_rng(3).normal(size=(COUNT, DIMENSIONS)))
JPEG = b"\xff\xd8\xff"


def item(row):
    """Three photos a product, two products a style; the last photos have no product."""
    product = "" if row >= COUNT - 10 else f"{row // 3:05d}"
    fields = {"price": float(row // 3), "view": row % 3}
    if row < 300:
        fields["style"] = f"S{row // 6}"
    return Item(f"{row}.jpg", product, "hats" if row % 2 else "tops", "shop", fields)


ITEMS = [item(row) for row in range(COUNT)]


@pytest.fixture(scope="module", params=["exact", "scann"])
def catalogue(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("grouped") / "index"
    half = COUNT // 2
    Catalogue.write(folder, VECTORS[:half], ITEMS[:half], [JPEG] * half, CARD, request.param)
    add_photos(folder, VECTORS[half:], ITEMS[half:], [JPEG] * half, CARD)
    remove_photos(folder, ["5.jpg", "399.jpg"])
    return Catalogue.open(folder)


def name_of(each, by):
    own = each.product if by == "product" else each.fields.get(by, "")
    return own or each.product or each.photo_id


def by_hand(query, k, by="product", allowed=lambda each: True):
    """Groups in the order of their best photos, each with its photos in order."""
    rows = [n for n in range(COUNT) if n not in (5, 399) and allowed(ITEMS[n])]
    groups = {}
    for row in sorted(rows, key=lambda row: -float(query @ VECTORS[row])):
        groups.setdefault(name_of(ITEMS[row], by), []).append(ITEMS[row])
    return list(groups.values())[:k]


def found(catalogue, k, **options):
    answers = catalogue.search_groups(QUERIES, k, CARD, **options)
    return [[[hit.item for hit in group.photos] for group in groups] for groups in answers]


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_different_products_each_with_all_of_its_photos(catalogue, k):
    assert found(catalogue, k) == [by_hand(query, k) for query in QUERIES]


def test_answers_by_a_field(catalogue):
    expected = [by_hand(query, 8, "style") for query in QUERIES]
    assert found(catalogue, 8, by="style") == expected
    (groups, *_) = catalogue.search_groups(QUERIES, 8, CARD, by="style")
    assert [group.rank for group in groups] == list(range(1, 9))
    names = [group.photos[0].item.fields.get("style", "") for group in groups]
    assert [group.name for group in groups] == names


def test_conditions_hold_for_all_photos_of_an_answer(catalogue):
    expected = [
        by_hand(q, 5, allowed=lambda i: i.fields["price"] < 40 and i.category == "hats")
        for q in QUERIES
    ]
    assert found(catalogue, 5, where=["price<40", "category=hats"]) == expected


def test_rows_can_be_left_out(catalogue):
    first = catalogue.search_groups(QUERIES[:1], 3, CARD)[0][0]
    rows = [hit.row for hit in first.photos]
    again = catalogue.search_groups(QUERIES[:1], 3, CARD, without=rows)[0]
    assert first.name not in [group.name for group in again]
    assert len(again) == 3


def test_photos_without_a_product_are_answers_of_their_own(catalogue):
    answers = catalogue.search_groups(VECTORS[[COUNT - 2]], 1, CARD)[0][0]
    assert (answers.name, answers.count) == ("", 1)
    assert answers.photos[0].item == ITEMS[COUNT - 2]


def test_shared_fields_are_given_once(catalogue):
    group = catalogue.search_groups(VECTORS[[0]], 1, CARD)[0][0]
    assert group.fields == {"price": 0, "style": "S0"}
    plain = group.to_json()
    assert (plain["product"], plain["count"], plain["rank"]) == ("00000", 3, 1)
    assert plain["fields"] == {"price": 0, "style": "S0"}
    assert {"rank": 1, "photo_id": "0.jpg", "fields": {"view": 0}}.items() <= {
        **plain["photos"][0]
    }.items()


def test_an_unknown_field_is_refused(catalogue):
    with pytest.raises(CatalogueError, match=r"no field 'stile' .*; did you mean 'style'"):
        catalogue.search_groups(QUERIES, 3, CARD, by="stile")


def test_a_large_group_is_cut_and_counted(catalogue):
    (group, *_) = catalogue.search_groups(QUERIES[:1], 2, CARD, by="domain")[0]
    assert (len(group.photos), group.count) == (MOST_PHOTOS, COUNT - 2)


@settings(max_examples=60, deadline=None)
@given(codes=st.lists(st.integers(0, 6), min_size=1, max_size=60), k=st.integers(1, 9))
def test_nearest_groups_are_those_of_a_full_ranking(codes, k):
    gallery, codes = VECTORS[: len(codes)], np.array(codes)
    index = ExactIndex(gallery)
    groups = nearest_groups(index.search, QUERIES, k, lambda rows: codes[rows], len(codes))
    order = np.argsort(-(QUERIES @ gallery.T), axis=1, kind="stable")
    for ranking, numbers in zip(codes[order], groups, strict=True):
        assert numbers.tolist() == list(dict.fromkeys(ranking.tolist()))[:k]


def test_rows_of_a_group():
    groups = Groups(np.array([3, 1, 3, 7, 1]))
    assert [groups.rows_of(code).tolist() for code in (1, 3, 7, 5)] == [[1, 4], [0, 2], [3], []]
