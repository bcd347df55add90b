import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval import query_expansion
from fashion_jax.retrieval.index import EmbeddingError
from fashion_jax.retrieval.query_expansion import augment_database, expand_queries
from tests.retrieval.unit_vectors import clustered


def by_angle(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def angle_of(rows):
    return np.rad2deg(np.arctan2(rows[:, 1], rows[:, 0]))


def test_average_query_expansion_by_hand():
    # The mean of unit vectors at 0, 10 and 20 degrees points to 10 degrees.
    expanded = expand_queries(by_angle(0), by_angle(90, 10, 20), neighbours=2)
    np.testing.assert_allclose(angle_of(expanded), [10], atol=1e-4)


def test_alpha_weights_by_similarity():
    # Weights cos(60°)³ = 1/8 and 1: (1 + 1/8 · 1/2, 1/8 · √3/2).
    expanded = expand_queries(by_angle(0), by_angle(60), neighbours=1, alpha=3.0)
    expected = np.rad2deg(np.arctan2(np.sqrt(3) / 16, 1 + 1 / 16))
    np.testing.assert_allclose(angle_of(expanded), [expected], atol=1e-4)


def test_what_is_unlike_counts_nothing_with_alpha():
    expanded = expand_queries(by_angle(0), by_angle(170), neighbours=1, alpha=3.0)
    np.testing.assert_allclose(angle_of(expanded), [0], atol=1e-4)


def test_a_neighbour_that_cancels_the_query_out_leaves_it():
    np.testing.assert_array_equal(expand_queries(by_angle(0), by_angle(180), 1), by_angle(0))


def test_database_augmentation_by_hand():
    # Nearest others: 0 and 10 of each other, 40 of 10.
    augmented = augment_database(by_angle(0, 10, 40), neighbours=1)
    np.testing.assert_allclose(angle_of(augmented), [5, 5, 25], atol=1e-4)


def test_copies_are_neighbours_of_each_other():
    alike = by_angle(30, 30, 30, 30)
    np.testing.assert_allclose(augment_database(alike, 2, alpha=3.0), alike, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 9), st.integers(1, 30), st.integers(0, 40))
def test_all_sizes_give_unit_rows(seed, queries, gallery, neighbours):
    rows = clustered(queries + gallery, 6, 4, seed=seed)
    for found, count in (
        (expand_queries(rows[:queries], rows[queries:], neighbours, 2.0), queries),
        (augment_database(rows[queries:], neighbours, 2.0), gallery),
    ):
        assert found.shape == (count, 6)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_none_leaves_everything():
    rows = clustered(9, 6, 4)
    np.testing.assert_array_equal(expand_queries(rows[:3], rows[3:], 0), rows[:3])
    np.testing.assert_array_equal(augment_database(rows, 0), rows)


def test_wrong_input():
    with pytest.raises(FashionJaxError, match="0 or more neighbours"):
        expand_queries(by_angle(0), by_angle(0), -1)
    with pytest.raises(FashionJaxError, match="alpha of at least 0"):
        augment_database(by_angle(0), 1, -0.5)
    with pytest.raises(EmbeddingError, match="not L2-normalised"):
        augment_database(2 * by_angle(0, 1), 1)


@pytest.mark.slow
def test_few_rows_at_a_time_give_the_same(monkeypatch):
    rows = clustered(40, 6, 4)
    expected = expand_queries(rows[:9], rows[9:], 5), augment_database(rows, 5)
    monkeypatch.setattr(query_expansion, "_GATHERED_AT_ONCE", 5 * 6 * 2)
    found = expand_queries(rows[:9], rows[9:], 5), augment_database(rows, 5)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
