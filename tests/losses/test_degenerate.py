"""Every loss stays finite, in value and gradient, on batches that have nothing to say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.losses import batch_hard_triplet, center, label_smoothed_cross_entropy

ROWS, WIDTH = 8, 16


def center_at_origin(features, identities, valid):
    return center(features, identities, jnp.zeros((ROWS, WIDTH)), valid)


LOSSES = {
    "triplet": lambda x, y, valid: batch_hard_triplet(x, y, 0.3, valid),
    "triplet_soft": lambda x, y, valid: batch_hard_triplet(x, y, None, valid),
    "label_smoothing": lambda x, y, valid: label_smoothed_cross_entropy(x, y, 0.1, valid),
    "center": center_at_origin,
}
JITTED = {name: jax.jit(jax.value_and_grad(loss)) for name, loss in LOSSES.items()}

NORMAL = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
PAIRS = [0, 0, 1, 1, 2, 2, 3, 3]
EVERY, NONE = [True] * ROWS, [False] * ROWS

BATCHES = {
    "one_identity": (NORMAL, [0] * ROWS, EVERY),
    "no_positives": (NORMAL, list(range(ROWS)), EVERY),
    "identical_features": (np.ones_like(NORMAL), PAIRS, EVERY),
    "all_zero": (np.zeros_like(NORMAL), PAIRS, EVERY),
    "all_masked": (NORMAL, PAIRS, NONE),
    "all_masked_and_nan": (np.full_like(NORMAL, np.nan), PAIRS, NONE),
    "one_valid_row": (NORMAL, PAIRS, [True] + [False] * (ROWS - 1)),
    "norm_1e4": (NORMAL * 2500, PAIRS, EVERY),
    "norm_1e-12": (NORMAL * 1e-12, PAIRS, EVERY),
}


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LOSSES)
def test_finite(name, batch, dtype):
    features, identities, valid = BATCHES[batch]
    features = jnp.asarray(features, dtype=dtype)
    mask = jnp.array(valid)
    value, gradient = JITTED[name](features, jnp.array(identities), mask)
    assert value.dtype == jnp.float32
    assert gradient.dtype == dtype
    assert jnp.isfinite(value)
    assert jnp.isfinite(gradient).all()
    if not any(valid):
        assert value == 0
        assert (gradient == 0).all()


@pytest.mark.parametrize("margin", [0.3, None])
def test_no_negatives_means_no_triplet_loss(margin):
    value = batch_hard_triplet(jnp.asarray(NORMAL), jnp.zeros(ROWS, dtype=int), margin)
    assert value == 0


@pytest.mark.parametrize(("margin", "resting"), [(0.3, 0.3), (None, np.log(2))])
def test_a_collapsed_network_sits_at_the_margin(margin, resting):
    value = batch_hard_triplet(jnp.ones((ROWS, WIDTH)), jnp.array(PAIRS), margin)
    np.testing.assert_allclose(value, resting, rtol=1e-6)
