import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.losses import center_gradient, center_loss, moved_centers

FEATURES = np.array([[1.0, 2.0], [3.0, 0.0], [0.0, 0.0]], dtype=np.float32)
IDENTITIES = np.array([2, 2, 0])
CENTERS = np.array([[1.0, 1.0], [5.0, 5.0], [1.0, 0.0]], dtype=np.float32)


def arguments():
    return jnp.asarray(FEATURES), jnp.asarray(IDENTITIES), jnp.asarray(CENTERS)


def test_by_hand():
    # Squared distances 4, 4 and 2.
    np.testing.assert_allclose(center_loss(*arguments()), 10 / 3, rtol=1e-6)


def test_gradient_of_centers_by_hand():
    # 2(c − x)/3: rows 0 and 1 pull on center 2, row 2 on center 0, nobody on center 1.
    expected = 2 / 3 * np.array([[1, 1], [0, 0], [0 + -2, -2 + 0]])
    np.testing.assert_allclose(center_gradient(*arguments()), expected, rtol=1e-6)


def test_gradient_of_features_by_hand():
    expected = 2 / 3 * np.array([[0, 2], [2, 0], [-1, -1]])
    np.testing.assert_allclose(jax.grad(center_loss)(*arguments()), expected, rtol=1e-6)


@pytest.mark.slow
def test_padding_changes_nothing_whatever_its_identity():
    features = jnp.concatenate([jnp.asarray(FEATURES), jnp.full((2, 2), jnp.nan)])
    identities = jnp.array([2, 2, 0, -1, 99])
    where = jnp.array([True, True, True, False, False])
    padded = (features, identities, jnp.asarray(CENTERS))
    np.testing.assert_array_equal(center_loss(*padded, where=where), center_loss(*arguments()))
    found = center_gradient(*padded, where=where)
    np.testing.assert_array_equal(found, center_gradient(*arguments()))
    gradient = jax.grad(center_loss)(*padded, where=where)
    np.testing.assert_array_equal(gradient[:3], jax.grad(center_loss)(*arguments()))
    np.testing.assert_array_equal(gradient[3:], 0)


@pytest.mark.parametrize("where", [None, [True, False, True], [False, False, False]])
def test_centers_move_along_their_gradient(where):
    features, identities, centers = arguments()
    where = None if where is None else jnp.array(where)
    expected = centers - 0.5 * center_gradient(features, identities, centers, where=where)
    found = moved_centers(centers, features, identities, 0.5, where=where)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_array_equal(found[1], centers[1])


def test_rows_without_a_center_move_none():
    features, _, centers = arguments()
    features = features.at[2].set(jnp.nan)
    where = jnp.array([True, True, False])
    found = moved_centers(centers, features, jnp.array([-1, 3, 0]), 0.5, where=where)
    np.testing.assert_array_equal(found, centers)


@pytest.mark.parametrize("identity", [-1, 3])
def test_an_identity_without_a_center_is_not_passed_over(identity):
    features, _, centers = arguments()
    assert jnp.isnan(center_loss(features, jnp.array([0, 1, identity]), centers))
