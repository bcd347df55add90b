"""Every loss against its formula written out in NumPy, and its gradient against differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fashion_jax.versions import enable_x64
from tests.losses.every_loss import CLASSES, LOSSES

WIDTH = 5
# Photos of each identity: alike, one of one, many of few.
GROUPS = {"alike": [0, 0, 1, 1, 2, 2], "ragged": [3, 0, 1, 1, 1, 0, 5], "two": [4, 2, 2, 4, 4]}


def draw(identities: list[int], seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng((seed, len(identities)))
    features = rng.normal(size=(len(identities), WIDTH))
    return features, np.array(identities), rng.normal(size=(WIDTH, CLASSES))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("name", LOSSES)
def test_value(name, group):
    loss, expected = LOSSES[name]
    features, identities, kernel = draw(GROUPS[group])
    with enable_x64(True):
        arguments = jnp.asarray(features), jnp.asarray(identities)
        found = jax.jit(loss)(*arguments, None, jnp.asarray(kernel))
    np.testing.assert_allclose(found, expected(features, identities, kernel), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_padding_changes_nothing(name):
    loss, expected = LOSSES[name]
    features, identities, kernel = draw(GROUPS["ragged"])
    rows = np.insert(features, [2, 7], np.nan, axis=0)
    labels = np.insert(identities, [2, 7], [1, 3])
    where = np.isfinite(rows[:, 0])
    with enable_x64(True):
        arguments = jnp.asarray(labels), jnp.asarray(where), jnp.asarray(kernel)
        value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(rows), *arguments)
        whole = jnp.asarray(features), jnp.asarray(identities), None, arguments[2]
        alone = jax.jit(jax.grad(loss))(*whole)
    np.testing.assert_allclose(value, expected(features, identities, kernel), rtol=1e-9)
    np.testing.assert_allclose(gradient[where], alone, rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(gradient[~where], 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in LOSSES if name != "circle"])
def test_gradient(name):
    """Circle's weights have no gradient by definition, so that differences see another function."""
    loss, _ = LOSSES[name]
    features, identities, kernel = draw(GROUPS["ragged"], seed=1)
    with enable_x64(True):
        labels, where = jnp.asarray(identities), jnp.ones(len(identities), dtype=bool)

        @jax.jit
        def of_both(features, kernel):
            return loss(jnp.asarray(features), labels, where, jnp.asarray(kernel))

        arguments = jnp.asarray(features), jnp.asarray(kernel)
        check_grads(of_both, arguments, order=1, modes=["rev"], rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_gradient_of_circle():
    """With the weights as constants: d/ds_n is γ α_n times a share of σ, d/ds_p is −γ α_p."""
    from fashion_jax.losses import circle_loss

    features = jnp.asarray([[1.0, 0.0], [np.cos(0.5), np.sin(0.5)], [np.cos(1.0), np.sin(1.0)]])
    margin, scale = 0.25, 4.0
    s_p, s_n = np.cos(0.5), np.array([np.cos(1.0), np.cos(0.5)])  # anchors 0 and 1
    a_p, a_n = 1 + margin - s_p, s_n + margin
    z = scale * (a_n * (s_n - margin) - a_p * (s_p - 1 + margin))
    share = scale / (1 + np.exp(-z)) / 2  # of each of the two anchors
    # Turning row 2 by φ changes both negative cosines: ds/dφ = −sin(angle to it).
    by_angle = np.sum(share * a_n * -np.sin([1.0, 0.5]))
    gradient = jax.grad(circle_loss)(features, jnp.array([0, 0, 1]), margin=margin, scale=scale)
    tangent = np.array([-np.sin(1.0), np.cos(1.0)])
    np.testing.assert_allclose(gradient[2] @ tangent, by_angle, rtol=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_compiles_once_whatever_the_identities(name):
    # A function of its own: programs compiled for other tests do not count.
    loss = jax.jit(lambda *arguments: LOSSES[name][0](*arguments))
    kernel = jnp.ones((WIDTH, CLASSES))
    for identities in ([0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 2, 3]):
        features = jnp.asarray(draw(identities)[0], jnp.float32)
        for where in ([True] * 4, [True, True, True, False]):
            loss(features, jnp.array(identities), jnp.array(where), kernel)
    assert loss._cache_size() == 1


@pytest.mark.parametrize("name", LOSSES)
def test_order_of_the_batch_does_not_matter(name):
    loss, _ = LOSSES[name]
    features, identities, kernel = draw(GROUPS["alike"], seed=2)
    order = np.random.default_rng(0).permutation(len(identities))
    with enable_x64(True):
        once = jax.jit(lambda x, y: loss(x, y, None, jnp.asarray(kernel)))
        first, second = (
            once(jnp.asarray(features[rows]), jnp.asarray(identities[rows]))
            for rows in (np.arange(len(order)), order)
        )
    if "centroid" not in name:  # its rounds follow the order of an identity's photos
        np.testing.assert_allclose(first, second, rtol=1e-9)
