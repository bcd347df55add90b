"""Queries of photos, likes and dislikes."""

import dataclasses

import numpy as np
import pytest

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.catalogue import Catalogue, CatalogueError, Item
from fashion_jax.retrieval.catalogue.examples import rows_named
from fashion_jax.serving.query import Weights, make_query
from tests.inference import cards
from tests.retrieval.unit_vectors import unit

CARD = dataclasses.replace(cards.CARD, embedding_width=4)
VECTORS = unit(np.array([[1, 0, 0, 0], [1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0.0],
                         [0, 0, 0, 1]]).astype(np.float32))  # fmt: skip
ITEMS = [
    Item("a1", "A", "hats", "shop"),
    Item("a2", "A", "hats", "shop"),
    Item("b1", "B", "hats", "shop"),
    Item("c1", "C", "hats", "shop"),
    Item("copy of a1", "D", "hats", "shop"),
    Item("A", "E", "hats", "shop"),
]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("query") / "index"
    return Catalogue.write(folder, VECTORS, ITEMS, [b"\xff\xd8\xff"] * 6, CARD)


NOTHING = np.empty((0, 4), np.float32)


def test_several_photos_are_averaged(catalogue):
    query = make_query(catalogue, VECTORS[[2, 3]])
    np.testing.assert_allclose(query.embedding, [[0, 0.5**0.5, 0.5**0.5, 0]], atol=1e-6)
    assert query.without.tolist() == []


def test_the_weighted_sum_of_rocchio(catalogue):
    query = make_query(catalogue, VECTORS[[5]], ["b1"], ["c1"], Weights(2, 1, 0.5))
    total = np.array([0, 1, -0.5, 2])
    np.testing.assert_allclose(query.embedding[0], total / np.linalg.norm(total), atol=1e-6)


def test_a_product_is_the_mean_of_its_photos(catalogue):
    query = make_query(catalogue, NOTHING, ["product:A"])
    mean = VECTORS[:2].mean(axis=0)
    np.testing.assert_allclose(query.embedding[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_examples_and_their_twins_are_no_answers(catalogue):
    # Row 4 has the embedding of row 0.
    assert make_query(catalogue, NOTHING, ["a1"], by="photo").without.tolist() == [0, 4]
    assert make_query(catalogue, NOTHING, ["a1"]).without.tolist() == [0, 1, 4]
    assert make_query(catalogue, NOTHING, ["b1"], ["c1"], by="photo").without.tolist() == [2, 3]


def test_a_name_that_is_a_product_and_a_photo_has_to_be_told_apart(catalogue):
    with pytest.raises(CatalogueError, match="write product:A or photo:A"):
        make_query(catalogue, NOTHING, ["A"])
    assert rows_named(catalogue.items, "photo:A").tolist() == [5]
    assert rows_named(catalogue.items, "product:A").tolist() == [0, 1]


@pytest.mark.parametrize("name", ["nobody", "product:a1", "photo:B", "", "product:"])
def test_unknown_examples_are_refused(catalogue, name):
    with pytest.raises(CatalogueError, match="has no product and no photo"):
        make_query(catalogue, NOTHING, [name])


def test_nothing_to_search_with(catalogue):
    with pytest.raises(FashionJaxError, match="nothing to search with"):
        make_query(catalogue, NOTHING, dislike=["b1"])
    with pytest.raises(FashionJaxError, match="cancel each other out"):
        make_query(catalogue, VECTORS[[2]], dislike=["b1"], weights=Weights(1, 1, 1))


@pytest.mark.parametrize("weights", [(1, -1, 0), (float("nan"), 1, 1), (1, 1, float("inf"))])
def test_weights_are_checked(weights):
    with pytest.raises(FashionJaxError, match="finite and not negative"):
        Weights(*weights)
