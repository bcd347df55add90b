import numpy as np
import pytest

from fashion_jax.errors import FashionJaxError
from fashion_jax.retrieval.whitening import Whitening
from tests.retrieval.unit_vectors import clustered


def test_whitened_directions_are_uncorrelated_and_of_equal_variance():
    rows = clustered(500, 8, 20)
    whitening = Whitening.fit(rows, 7, shrink=0.0)
    moved = (rows - whitening.mean) @ whitening.projection
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(moved.T, bias=True), np.eye(7), atol=1e-3)


def test_it_is_that_of_the_singular_values():
    rows = clustered(50, 6, 5)
    whitening = Whitening.fit(rows, 3, shrink=0.0)
    centred = rows - rows.mean(axis=0)
    _, values, directions = np.linalg.svd(centred, full_matrices=False)
    expected = directions[:3].T / (values[:3] / np.sqrt(50))
    np.testing.assert_allclose(np.abs(whitening.projection), np.abs(expected), rtol=1e-3, atol=1e-4)


def test_applied_rows_are_unit_rows():
    rows = clustered(50, 6, 5)
    found = Whitening.fit(rows, 4).apply(clustered(9, 6, 5, seed=3))
    assert found.shape == (9, 4)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_noise_is_not_blown_up():
    # All rows lie in a plane but for 1e-6: with shrinking, the third direction stays small.
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, 200)
    rows = np.stack([np.cos(angles), np.sin(angles), rng.normal(0, 1e-6, 200)], axis=1)
    moved = (rows - Whitening.fit(rows, 3).mean) @ Whitening.fit(rows, 3).projection
    assert moved[:, 2].std() < 1e-3


def test_photos_that_are_all_alike_stay_finite():
    alike = np.repeat(np.eye(1, 4, dtype=np.float32), 9, axis=0)
    found = Whitening.fit(alike, 2).apply(alike)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 5, 7])
def test_more_directions_than_there_are(kept):
    rows = clustered(5, 6, 5)  # five rows span four directions about their mean
    with pytest.raises(FashionJaxError, match="choose from 1 to 4"):
        Whitening.fit(rows, kept)


def test_a_single_photo_has_no_directions():
    with pytest.raises(
        FashionJaxError, match="1 embeddings of 6 dimensions; at least 2 embeddings"
    ):
        Whitening.fit(clustered(1, 6, 1), 3)
