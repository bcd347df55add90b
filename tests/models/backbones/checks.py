"""Properties of a block or a network of any family."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.test_util import check_grads

from fashion_jax.models.layer_factory import LayerFactory
from tests.models.backbones.reference import randomised


def layers_float64() -> LayerFactory:
    return LayerFactory(nnx.Rngs(0), jnp.float64)


def drawn(*shape: int, seed: int = 1) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape))


def gradients_are_right(block: nnx.Module, inputs: jax.Array) -> None:
    """Of inputs and all parameters, with the batch's own statistics."""
    graphdef, params, statistics = nnx.split(randomised(block), nnx.Param, nnx.BatchStat)
    cotangent = drawn(*jax.eval_shape(lambda: block(inputs, False)).shape, seed=2)

    @jax.jit
    def form(inputs, params):
        merged = nnx.merge(graphdef, params, statistics, copy=True)
        return jnp.sum(merged(jnp.asarray(inputs), True) * cotangent)

    check_grads(form, (inputs, params), order=1, modes=["rev"], rtol=1e-4, eps=1e-6)
