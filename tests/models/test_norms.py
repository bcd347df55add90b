import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from fashion_jax.config import ConfigError
from fashion_jax.models import norms
from fashion_jax.models.norms import (
    BatchNorm,
    InstanceNorm,
    LayerNorm,
    moments_in_one_pass,
    normalise_batch,
)
from fashion_jax.versions import enable_x64


@pytest.mark.slow
def test_batch_norm_by_hand():
    norm = BatchNorm(1, epsilon=0.0)
    outputs = norm(jnp.asarray([[1.0], [3.0]]), train=True)
    np.testing.assert_allclose(outputs, [[-1.0], [1.0]])  # biased variance 1
    np.testing.assert_allclose(norm.mean[...], [0.2])
    np.testing.assert_allclose(norm.var[...], [0.9 + 0.1 * 2.0])  # unbiased variance 2


def test_batch_norm_in_inference_uses_and_keeps_the_running_statistics():
    norm = BatchNorm(2, epsilon=1.0)
    norm.mean[...] = jnp.asarray([1.0, 2.0])
    norm.var[...] = jnp.asarray([3.0, 8.0])
    norm.scale[...] = jnp.asarray([4.0, 6.0])
    norm.bias[...] = jnp.asarray([0.5, -0.5])
    outputs = norm(jnp.asarray([[[3.0, 3.0]]]), train=False)
    np.testing.assert_allclose(outputs, [[[4.5, 1.5]]])
    np.testing.assert_array_equal(norm.mean[...], [1.0, 2.0])


def test_batch_norm_survives_one_position_and_a_large_mean():
    norm = BatchNorm(1)
    assert np.isfinite(norm(jnp.asarray([[5.0]]), train=True)).all()
    shifted = norm(jnp.asarray([[1e4 - 1.0], [1e4 + 1.0]]), train=True)
    np.testing.assert_allclose(shifted, [[-1.0], [1.0]], rtol=1e-4)


def test_batch_norm_keeps_its_statistics_in_float32():
    norm = BatchNorm(3)
    outputs = norm(jnp.ones((4, 2, 2, 3), jnp.bfloat16), train=True)
    assert outputs.dtype == jnp.bfloat16
    assert {norm.mean.dtype, norm.var.dtype, norm.scale.dtype} == {jnp.dtype(jnp.float32)}


@pytest.mark.parametrize(("mean", "near"), [(0.0, 0.0), (3.0, 0.0), (1e4, 1e4 + 2.0)])
def test_moments_in_one_pass(mean, near):
    """What accelerators compute; a near guess of the mean saves the variance."""
    values = np.random.default_rng(0).normal(mean, 1.5, (2, 16, 9, 3)).astype(np.float32)
    found = moments_in_one_pass(jnp.asarray(values), jnp.full(3, near, jnp.float32))
    wide = values.astype(np.float64)
    np.testing.assert_allclose(found[0], wide.mean((1, 2)), rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(found[1], wide.var((1, 2)), rtol=2e-5)


def test_moments_of_a_constant():
    mean, var = moments_in_one_pass(jnp.full((1, 8, 4, 2), 0.1), jnp.zeros(2))
    np.testing.assert_allclose(mean, [[0.1, 0.1]], rtol=1e-6)
    assert (np.asarray(var) >= 0).all()
    np.testing.assert_allclose(var, 0, atol=1e-8)


def test_both_ways_give_the_same_gradients(monkeypatch):
    rng = np.random.default_rng(1)
    inputs, weights = (jnp.asarray(rng.normal(2, 1, (8, 5, 4)), jnp.float32) for _ in range(2))
    scale, shift, near = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)

    def total(*parts):
        return (normalise_batch(*parts, near, 2, 1e-5)[0] * weights).sum()

    on_cpu = jax.grad(total, (0, 1, 2))(inputs, scale, shift)
    monkeypatch.setattr(norms, "_moments_in_two_passes", moments_in_one_pass)
    elsewhere = jax.grad(total, (0, 1, 2))(inputs, scale, shift)
    for one, other in zip(on_cpu, elsewhere, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_batch_norm_in_float64_has_right_gradients():
    with enable_x64(True):
        norm = BatchNorm(2, param_dtype=jnp.float64)
        graphdef, params, statistics = nnx.split(norm, nnx.Param, nnx.BatchStat)
        inputs = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2, 2)))

        def form(inputs, params):
            norm = nnx.merge(graphdef, params, statistics, copy=True)
            outputs = norm(jnp.asarray(inputs), train=True)
            return jnp.sum(outputs**3)

        assert form(inputs, params).dtype == jnp.float64
        check_grads(form, (inputs, params), order=1, modes=["rev"])


@pytest.mark.slow
def test_ghost_batches_are_what_each_would_be_alone():
    inputs = jnp.asarray(np.random.default_rng(0).normal(3, 2, (6, 4, 5, 3)), jnp.float32)
    together = BatchNorm(3, ghost_batch_size=2)
    outputs = together(inputs, train=True)
    alone = [BatchNorm(3) for _ in range(3)]
    parts = [norm(part, train=True) for norm, part in zip(alone, jnp.split(inputs, 3), strict=True)]
    np.testing.assert_allclose(outputs, np.concatenate(parts), rtol=1e-5, atol=1e-6)
    for name in ("mean", "var"):
        expected = np.mean([getattr(norm, name)[...] for norm in alone], 0)
        np.testing.assert_allclose(getattr(together, name)[...], expected, rtol=1e-6)
    np.testing.assert_array_equal(
        BatchNorm(3, ghost_batch_size=4)(inputs, train=False), BatchNorm(3)(inputs, train=False)
    )


def test_ghost_batches_that_do_not_divide_the_batch_are_refused():
    with pytest.raises(ConfigError, match="is 4, which does not divide a batch of 6"):
        BatchNorm(3, ghost_batch_size=4)(jnp.zeros((6, 3)), train=True)


def test_instance_norm_by_hand():
    norm = InstanceNorm(1, epsilon=0.0)
    norm.scale[...] = norm.scale[...] * 2.0
    norm.bias[...] = norm.bias[...] + 1.0
    images = jnp.asarray([[1.0, 3.0], [10.0, 30.0]]).reshape(2, 1, 2, 1)
    np.testing.assert_allclose(norm(images).reshape(2, 2), [[-1.0, 3.0], [-1.0, 3.0]], rtol=1e-6)


def test_layer_norm_by_hand():
    norm = LayerNorm(2, epsilon=0.0)
    norm.scale[...] = jnp.asarray([2.0, 3.0])
    norm.bias[...] = jnp.asarray([1.0, -1.0])
    outputs = norm(jnp.asarray([[[1.0, 3.0]], [[30.0, 10.0]]]))
    np.testing.assert_allclose(outputs, [[[-1.0, 2.0]], [[3.0, -4.0]]], rtol=1e-6)
    assert norm(jnp.ones((1, 2), jnp.bfloat16)).dtype == jnp.bfloat16
