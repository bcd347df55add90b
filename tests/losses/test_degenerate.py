"""Every loss stays finite, in value and gradient, on batches that have nothing to say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.losses import batch_hard_triplet_loss
from tests.losses.every_loss import LOSSES

ROWS, WIDTH = 8, 16
KERNEL = jnp.asarray(np.random.default_rng(1).normal(size=(WIDTH, ROWS)), jnp.float32)
NOTHING = jnp.zeros((WIDTH, ROWS))
JITTED = {name: jax.jit(jax.value_and_grad(loss, (0, 3))) for name, (loss, _) in LOSSES.items()}

NORMAL = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)
PAIRS = [0, 0, 1, 1, 2, 2, 3, 3]
EVERY, NONE = [True] * ROWS, [False] * ROWS

BATCHES = {
    "one_identity": (NORMAL, [0] * ROWS, EVERY, KERNEL),
    "no_positives": (NORMAL, list(range(ROWS)), EVERY, KERNEL),
    "identical_features": (np.ones_like(NORMAL), PAIRS, EVERY, KERNEL),
    "all_zero": (np.zeros_like(NORMAL), PAIRS, EVERY, KERNEL),
    "all_masked": (NORMAL, PAIRS, NONE, KERNEL),
    "all_masked_and_nan": (np.full_like(NORMAL, np.nan), PAIRS, NONE, KERNEL),
    "one_valid_row": (NORMAL, PAIRS, [True] + [False] * (ROWS - 1), KERNEL),
    "norm_1e4": (NORMAL * 2500, PAIRS, EVERY, KERNEL),
    "columns_of_0": (NORMAL, PAIRS, EVERY, NOTHING),
    "norm_1e-12": (NORMAL * 1e-12, PAIRS, EVERY, KERNEL),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("name", LOSSES)
def test_finite(name, batch, dtype):
    features, identities, where, kernel = BATCHES[batch]
    features = jnp.asarray(features, dtype=dtype)
    mask = jnp.array(where)
    value, gradients = JITTED[name](features, jnp.array(identities), mask, kernel)
    assert value.dtype == jnp.float32
    assert gradients[0].dtype == dtype
    assert jnp.isfinite(value)
    assert all(jnp.isfinite(gradient).all() for gradient in gradients)
    if not any(where):
        assert value == 0
        assert all((gradient == 0).all() for gradient in gradients)


@pytest.mark.slow
@pytest.mark.parametrize("margin", [0.3, None])
def test_no_negatives_means_no_triplet_loss(margin):
    value = batch_hard_triplet_loss(jnp.asarray(NORMAL), jnp.zeros(ROWS, dtype=int), margin=margin)
    assert value == 0


@pytest.mark.parametrize(("margin", "resting"), [(0.3, 0.3), (None, np.log(2))])
def test_a_collapsed_network_sits_at_the_margin(margin, resting):
    value = batch_hard_triplet_loss(jnp.ones((ROWS, WIDTH)), jnp.array(PAIRS), margin=margin)
    np.testing.assert_allclose(value, resting, rtol=1e-6)
