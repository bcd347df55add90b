"""Search among some rows: exact, over-fetching, and where all near rows are excluded."""

import numpy as np
import pytest

from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.filtered import FilteredIndex
from fashion_jax.retrieval.index import EmbeddingError
from tests.retrieval.unit_vectors import clustered, unit

GALLERY = clustered(2000, 16, 7)
QUERIES = unit(GALLERY[::400] + 0.05)


class CountedIndex(ExactIndex):
    """Remembers how many neighbours it was asked for."""

    def search(self, queries, k):
        self.asked = [*getattr(self, "asked", []), k]
        return super().search(queries, k)


def by_hand(allowed, k):
    scores = np.where(allowed, QUERIES @ GALLERY.T, -9)
    return np.argsort(-scores, axis=1, kind="stable")[:, : min(k, allowed.sum())]


def filtered(allowed, exact_up_to=100):
    index = CountedIndex(GALLERY)
    return index, FilteredIndex(index, allowed, lambda rows: GALLERY[rows], exact_up_to)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.04, 0.3, 0.95, 1.0])
@pytest.mark.parametrize("k", [1, 7, 3000])
def test_any_filter_is_the_same_as_comparing_by_hand(share, k):
    allowed = np.random.default_rng(1).random(len(GALLERY)) < share
    _, index = filtered(allowed)
    found = index.search(QUERIES, k)
    np.testing.assert_array_equal(found.rows, by_hand(allowed, k))
    assert len(index) == allowed.sum()
    expected = np.take_along_axis(QUERIES @ GALLERY.T, found.rows, axis=1)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)


def test_few_rows_are_compared_exactly_and_many_are_over_fetched():
    allowed = np.arange(len(GALLERY)) % 40 == 0
    counted, index = filtered(allowed)
    index.search(QUERIES, 5)
    assert index.is_exact
    assert not hasattr(counted, "asked")
    counted, index = filtered(np.arange(len(GALLERY)) % 2 == 0)
    index.search(QUERIES, 5)
    assert not index.is_exact
    assert counted.asked == [31]  # 1.5 · 5 · 2 and 16 to spare


def test_a_query_without_allowed_rows_near_it_is_searched_exactly():
    scores = QUERIES @ GALLERY.T
    allowed = np.ones(len(GALLERY), bool)
    allowed[np.argsort(-scores[0])[:1500]] = False
    counted, index = filtered(allowed)
    found = index.search(QUERIES, 9)
    np.testing.assert_array_equal(found.rows, by_hand(allowed, 9))
    assert counted.asked[1] == 8 * counted.asked[0]


def test_a_few_excluded_rows_are_asked_for_at_once():
    allowed = np.ones(len(GALLERY), bool)
    allowed[by_hand(allowed, 12)[0]] = False
    counted, index = filtered(allowed)
    np.testing.assert_array_equal(index.search(QUERIES, 5).rows, by_hand(allowed, 5))
    assert counted.asked == [5 + 12]


def test_queries_are_checked_and_may_be_none():
    _, index = filtered(np.arange(len(GALLERY)) < 3)
    assert index.search(QUERIES[:0], 2).rows.shape == (0, 2)
    with pytest.raises(EmbeddingError, match="at least 1 neighbour"):
        index.search(QUERIES, 0)
    with pytest.raises(EmbeddingError, match="not L2-normalised"):
        index.search(2 * QUERIES, 1)
