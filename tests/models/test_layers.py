import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from fashion_jax.models.bnneck import BNNeck
from fashion_jax.models.layers import BatchNorm, Conv2d, DepthwiseConv2d, Linear
from fashion_jax.models.padding import same_padding


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


def test_batch_norm_in_float64_has_right_gradients():
    with jax.enable_x64(True):
        norm = BatchNorm(2, param_dtype=jnp.float64)
        graphdef, params, statistics = nnx.split(norm, nnx.Param, nnx.BatchStat)
        inputs = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2, 2)))

        def form(inputs, params):
            norm = nnx.merge(graphdef, params, statistics, copy=True)
            outputs = norm(jnp.asarray(inputs), train=True)
            return jnp.sum(outputs**3)

        assert form(inputs, params).dtype == jnp.float64
        check_grads(form, (inputs, params), order=1, modes=["rev"])


def test_neck_has_no_bias():
    neck = BNNeck(4)
    leaves = nnx.to_flat_state(nnx.state(neck, nnx.Param))
    assert [path for path, _ in leaves] == [("norm", "scale")]
    outputs = neck(jnp.asarray(np.random.default_rng(0).standard_normal((8, 4)), jnp.float32), True)
    np.testing.assert_allclose(outputs.mean(0), np.zeros(4), atol=1e-6)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pair"),
    [
        (128, 3, 2, (0, 1)),
        (127, 3, 2, (1, 1)),
        (16, 5, 2, (1, 2)),
        (8, 5, 1, (2, 2)),
        (1, 3, 2, (1, 1)),
    ],
)
def test_same_padding_is_tensorflows(size, kernel, stride, pair):
    assert same_padding(size, size, kernel, stride) == (pair, pair)


def test_fresh_weights_have_the_stated_spread():
    rngs = nnx.Rngs(0)
    cases = (
        (Conv2d(64, 128, 3, rngs=rngs), (2 / (9 * 128)) ** 0.5),
        (DepthwiseConv2d(4096, 5, rngs=rngs), (2 / 25) ** 0.5),
        (Linear(256, 500, std=0.001, rngs=rngs), 0.001),
    )
    for layer, std in cases:
        np.testing.assert_allclose(np.std(layer.kernel[...]), std, rtol=0.02)
        assert abs(np.mean(layer.kernel[...])) < 0.02 * std
