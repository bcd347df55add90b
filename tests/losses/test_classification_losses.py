import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from fashion_jax.losses import label_smoothed_cross_entropy_loss
from fashion_jax.losses.rows import log_sum_exp
from fashion_jax.versions import enable_x64

LOGITS = np.array([[2.0, 0.0, -1.0, 0.5], [0.0, 1.0, 0.0, 3.0]], dtype=np.float32)
LABELS = np.array([0, 2])


def reference(logits, labels, smoothing):
    """The definition: cross entropy against (1 − ε)·onehot + ε/K."""
    classes = logits.shape[1]
    target = (1 - smoothing) * np.eye(classes)[labels] + smoothing / classes
    log_p = logits - np.log(np.sum(np.exp(logits), axis=1, keepdims=True))
    return -np.sum(target * log_p, axis=1).mean()


@pytest.mark.slow
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_definition(smoothing):
    loss = label_smoothed_cross_entropy_loss(
        jnp.asarray(LOGITS), jnp.asarray(LABELS), smoothing=smoothing
    )
    np.testing.assert_allclose(loss, reference(LOGITS, LABELS, smoothing), rtol=1e-6)


def test_by_hand():
    # p = (3/4, 1/4): −0.95·log(3/4) − 0.05·log(1/4), with ε = 0.1.
    logits = jnp.log(jnp.array([[3.0, 1.0]]))
    expected = -0.95 * np.log(0.75) - 0.05 * np.log(0.25)
    loss = label_smoothed_cross_entropy_loss(logits, jnp.array([0]), smoothing=0.1)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


@pytest.mark.slow
def test_padding_changes_nothing_whatever_its_label():
    logits = jnp.concatenate([jnp.asarray(LOGITS), jnp.full((2, 4), jnp.nan)])
    labels = jnp.array([0, 2, -1, 99])
    where = jnp.array([True, True, False, False])
    function = jax.value_and_grad(label_smoothed_cross_entropy_loss)
    value, gradient = function(logits, labels, smoothing=0.1, where=where)
    expected = function(jnp.asarray(LOGITS), jnp.asarray(LABELS), smoothing=0.1)
    np.testing.assert_array_equal(value, expected[0])
    np.testing.assert_array_equal(gradient, np.concatenate([expected[1], np.zeros((2, 4))]))


@pytest.mark.parametrize("label", [-1, 4])
def test_a_label_that_does_not_exist_is_not_passed_over(label):
    loss = label_smoothed_cross_entropy_loss(jnp.asarray(LOGITS), jnp.array([0, label]))
    assert jnp.isnan(loss)


@pytest.mark.slow
def test_gradient_agrees_with_differences():
    with enable_x64(True):
        logits = jnp.asarray(LOGITS.astype(np.float64))
        check_grads(
            lambda x: label_smoothed_cross_entropy_loss(jnp.asarray(x), jnp.asarray(LABELS)),
            (logits,),
            order=1,
        )


@pytest.mark.slow
def test_gradients_are_added_in_the_formulas_order():
    """To the last bit: normaliser first, own score second, mean third."""
    rng = np.random.default_rng(0)
    logits = jnp.asarray(rng.normal(size=(32, 10)), jnp.float32)
    labels = jnp.asarray(rng.integers(0, 10, 32))
    everywhere = jnp.ones(logits.shape, dtype=bool)
    own = labels[:, None] == jnp.arange(10)[None, :]

    def written_out(logits):
        normaliser = log_sum_exp(logits, everywhere)
        own_score = jnp.sum(jnp.where(own, logits, 0.0), axis=1)
        mean = jnp.sum(logits, axis=1) / 10.0
        return jnp.mean(normaliser - 0.9 * own_score - 0.1 * mean)

    expected = jax.grad(written_out)(logits)
    found = jax.grad(label_smoothed_cross_entropy_loss)(logits, labels)
    np.testing.assert_array_equal(found, expected)
