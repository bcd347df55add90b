"""Values and gradients of the reference implementations (PyTorch, float32)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.losses import (
    batch_hard_triplet_loss,
    center_gradient,
    center_loss,
    centroid_triplet_loss,
    label_smoothed_cross_entropy_loss,
)

RELATIVE = 1e-5


@pytest.fixture(scope="module")
def golden(shared):
    with np.load(shared / "goldens" / "losses.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def labels(golden):
    return jnp.asarray(golden["labels"], dtype=jnp.int32)


def assert_near(actual, expected):
    """Relative to the largest component: a gradient's tiny entries are sums that cancel."""
    scale = np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=RELATIVE, atol=RELATIVE * scale)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "margin"),
    [("triplet_margin_0.3", 0.3), ("triplet_margin_0.5", 0.5), ("triplet_soft", None)],
)
def test_triplet(golden, labels, name, margin):
    features = jnp.asarray(golden["features"])
    value, gradient = jax.value_and_grad(batch_hard_triplet_loss)(features, labels, margin=margin)
    np.testing.assert_allclose(value, golden[name], rtol=RELATIVE)
    assert_near(gradient, golden[f"{name}/grad_features"])


@pytest.mark.slow
def test_label_smoothing(golden, labels):
    logits = jnp.asarray(golden["logits"])
    value, gradient = jax.value_and_grad(label_smoothed_cross_entropy_loss)(
        logits, labels, smoothing=0.1
    )
    np.testing.assert_allclose(value, golden["label_smoothing_0.1"], rtol=RELATIVE)
    assert_near(gradient, golden["label_smoothing_0.1/grad_logits"])


def test_center(golden, labels):
    features, centers = jnp.asarray(golden["features"]), jnp.asarray(golden["centers"])
    value, gradient = jax.value_and_grad(center_loss)(features, labels, centers)
    np.testing.assert_allclose(value, golden["center"], rtol=RELATIVE)
    assert_near(gradient, golden["center/grad_features"])
    assert_near(center_gradient(features, labels, centers), golden["center/grad_centers"])


@pytest.mark.slow
def test_centroid_triplet(golden, labels):
    features = jnp.asarray(golden["features"])
    value, gradient = jax.value_and_grad(centroid_triplet_loss)(features, labels, margin=0.5)
    np.testing.assert_allclose(value, golden["centroid_triplet_0.5"], rtol=RELATIVE)
    assert_near(gradient, golden["centroid_triplet_0.5/grad_features"])
