import types
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from fashion_jax.config import MeshConfig
from fashion_jax.models.layers import convolution
from fashion_jax.parallel.mesh import compiler_options, make_mesh
from fashion_jax.versions import enable_x64


@pytest.fixture(scope="module", params=[1, 8])
def mesh(request):
    return make_mesh(MeshConfig(), jax.devices()[: request.param])


def value_and_gradients(images, kernel):
    def apply(images, kernel):
        return jnp.tanh(convolution(images, kernel, 2, ((1, 1), (1, 1))))

    outputs, pullback = jax.vjp(apply, images, kernel)
    return outputs, *pullback(outputs)


def random_arrays():
    rng = np.random.default_rng(0)
    return rng.standard_normal((16, 9, 8, 16)), rng.standard_normal((3, 3, 16, 32)) / 12


def test_values_and_gradients_keep_float32s_accuracy(mesh):
    """No narrower arithmetic, on one device and with the batch divided over eight."""
    exact = random_arrays()
    with enable_x64(True):
        expected = jax.jit(value_and_gradients)(*exact)
    split = NamedSharding(mesh, PartitionSpec("data"))
    images, kernel = (array.astype(np.float32) for array in exact)
    step = jax.jit(value_and_gradients, compiler_options=compiler_options(mesh))
    found = step(jax.device_put(images, split), kernel)
    for ours, reference in zip(found, map(np.asarray, expected), strict=True):
        scale = np.max(np.abs(reference))
        np.testing.assert_allclose(np.asarray(ours) / scale, reference / scale, atol=1e-5)


@pytest.mark.slow
def test_bfloat16_compiles(mesh):
    images, kernel = (jnp.asarray(array, jnp.bfloat16) for array in random_arrays())
    wide = jax.jit(value_and_gradients)(*(part.astype(jnp.float32) for part in (images, kernel)))
    step = jax.jit(value_and_gradients, compiler_options=compiler_options(mesh))
    for ours, reference in zip(step(images, kernel), wide, strict=True):
        assert ours.dtype == jnp.bfloat16
        scale = np.max(np.abs(reference))
        np.testing.assert_allclose(ours.astype(jnp.float32) / scale, reference / scale, atol=0.03)


def test_accelerators_get_xlas_own():
    device = types.SimpleNamespace(platform="gpu")
    mesh = mock.Mock(spec=Mesh, devices=np.asarray([device]))
    assert compiler_options(mesh) is None
