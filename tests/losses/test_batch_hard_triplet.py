import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet_loss, hardest_pairs
from fashion_jax.losses.pairs import make_pairs
from fashion_jax.versions import enable_x64

# On a line: identity 0 at 0 and 3, identity 1 at 5 and 9.
LINE = np.array([[0.0], [3.0], [5.0], [9.0]], dtype=np.float32)
IDENTITIES = jnp.array([0, 0, 1, 1])


def test_mines_the_farthest_positive_and_the_nearest_negative():
    pairs = hardest_pairs(make_pairs(jnp.asarray(LINE), IDENTITIES))
    np.testing.assert_allclose(pairs.positive_distance, [3, 3, 4, 4])
    np.testing.assert_allclose(pairs.negative_distance, [5, 2, 2, 6])
    assert pairs.anchor.all()


@pytest.mark.parametrize(
    ("margin", "terms"),
    [
        (0.5, [0.0, 1.5, 2.5, 0.0]),
        (3.0, [1.0, 4.0, 5.0, 1.0]),
        (None, np.log1p(np.exp([-2.0, 1.0, 2.0, -2.0]))),
    ],
)
def test_is_the_mean_over_all_anchors(margin, terms):
    loss = batch_hard_triplet_loss(jnp.asarray(LINE), IDENTITIES, margin=margin)
    np.testing.assert_allclose(loss, np.mean(terms), rtol=1e-6)


@pytest.mark.slow
def test_gradient_by_hand():
    # Active at margin 0.5: anchor 1 (p = 0, n = 2) and anchor 2 (p = 3, n = 1), each weighs 1/4.
    gradient = jax.grad(batch_hard_triplet_loss)(jnp.asarray(LINE), IDENTITIES, margin=0.5)
    anchor_1 = np.array([-1.0, 1.0 + 1.0, -1.0, 0.0])
    anchor_2 = np.array([0.0, 1.0, -1.0 - 1.0, 1.0])
    np.testing.assert_allclose(gradient[:, 0], (anchor_1 + anchor_2) / 4)


@pytest.mark.slow
def test_a_lone_photo_is_its_own_positive():
    features = jnp.array([[0.0], [1.0]])
    loss = batch_hard_triplet_loss(features, jnp.array([0, 1]), margin=3.0)
    np.testing.assert_allclose(loss, 1e-6 - 1.0 + 3.0, rtol=1e-6)


@pytest.mark.slow
def test_padding_changes_nothing():
    padding = jnp.full((3, 1), jnp.nan)
    features = jnp.concatenate([jnp.asarray(LINE), padding])
    identities = jnp.array([0, 0, 1, 1, 0, 1, 2])
    where = jnp.array([True] * 4 + [False] * 3)
    function = jax.value_and_grad(functools.partial(batch_hard_triplet_loss, margin=0.5))
    value, gradient = function(features, identities, where=where)
    expected = function(jnp.asarray(LINE), IDENTITIES)
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_array_equal(gradient, np.concatenate([expected[1], np.zeros((3, 1))]))


def test_order_of_the_batch_does_not_matter():
    order = np.array([2, 0, 3, 1])
    loss = functools.partial(batch_hard_triplet_loss, margin=0.5)
    shuffled = loss(jnp.asarray(LINE)[order], IDENTITIES[order])
    np.testing.assert_allclose(shuffled, loss(jnp.asarray(LINE), IDENTITIES))


@pytest.mark.slow
def test_right_pairs_are_chosen_far_from_the_origin():
    # Without the shift by the mean, float32 has nothing left of distances of 1 at 10,000.
    features = jnp.asarray(LINE) + jnp.full((1, 64), 1e4)
    pairs = hardest_pairs(make_pairs(features, IDENTITIES))
    np.testing.assert_allclose(pairs.positive_distance, np.array([3, 3, 4, 4]) * 8, rtol=1e-6)
    np.testing.assert_allclose(pairs.negative_distance, np.array([5, 2, 2, 6]) * 8, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [0.3, None])
def test_gradient_agrees_with_differences(margin):
    with enable_x64(True):
        features = jnp.asarray(np.random.default_rng(0).normal(size=(12, 5)))
        identities = jnp.repeat(jnp.arange(4), 3)
        check_grads(
            lambda x: batch_hard_triplet_loss(jnp.asarray(x), identities, margin=margin),
            (features,),
            order=1,
            modes=["rev"],
        )


def test_compiles_once_whatever_the_number_of_photos():
    loss = jax.jit(batch_hard_triplet_loss, static_argnames="margin")
    for identities in ([0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 2, 3]):
        loss(jnp.asarray(LINE), jnp.array(identities), margin=0.3, where=jnp.ones(4, dtype=bool))
    assert loss._cache_size() == 1
