import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.models.backbones.spec import FeatureMap
from fashion_jax.models.heads import GeneralisedMean, generalised_mean, make_pooling
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.versions import enable_x64

LAYERS = LayerFactory(nnx.Rngs(0))


def pooled(name, maps, power=3.0, token=None):
    pool = make_pooling(ModelConfig(pooling=name, gem_power=power), LAYERS)
    return pool(FeatureMap(jnp.asarray(maps), token))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("average", [[3.0, 4.0]]),
        ("max", [[6.0, 7.0]]),
        ("average_max", [[9.0, 11.0]]),
        ("gem", [[(288 / 4) ** (1 / 3), (496 / 4) ** (1 / 3)]]),
        ("learned_gem", [[(288 / 4) ** (1 / 3), (496 / 4) ** (1 / 3)]]),
    ],
)
def test_poolings_by_hand(name, expected):
    maps = jnp.arange(8.0).reshape(1, 2, 2, 2)  # channels 0 2 4 6 and 1 3 5 7
    np.testing.assert_allclose(pooled(name, maps), expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["average", "max", "average_max", "gem", "learned_gem"])
def test_sums_are_in_float32(name):
    outputs = pooled(name, jnp.ones((1, 64, 64, 1), jnp.bfloat16))
    assert outputs.dtype == jnp.float32
    np.testing.assert_allclose(outputs, [[2.0 if name == "average_max" else 1.0]], rtol=1e-6)


def test_gem_lies_between_average_and_maximum():
    maps = jnp.asarray(np.random.default_rng(0).uniform(0, 5, (3, 4, 5, 6)), jnp.float32)
    np.testing.assert_allclose(pooled("gem", maps, 1.0), pooled("average", maps), rtol=1e-5)
    rising = [pooled("gem", maps, power) for power in (1.0, 3.0, 10.0)]
    assert (rising[0] < rising[1]).all()
    assert (rising[1] < rising[2]).all()
    assert (rising[2] < pooled("max", maps)).all()


def test_gem_of_dead_channels_has_finite_gradients():
    gradients = jax.grad(lambda x, p: jnp.sum(generalised_mean(x, p)), (0, 1))(
        jnp.zeros((2, 3, 3, 4)), jnp.asarray(3.0)
    )
    assert all(np.isfinite(part).all() for part in gradients)


@pytest.mark.slow
def test_gems_power_is_learned():
    with enable_x64(True):
        maps = jnp.asarray(np.random.default_rng(0).uniform(0.1, 2, (2, 3, 2, 2)))
        power = jnp.asarray(2.5, jnp.float64)

        def form(maps, power):
            return generalised_mean(jnp.asarray(maps), jnp.asarray(power))

        check_grads(form, (maps, power), order=1, modes=["rev"])
    pool = make_pooling(ModelConfig(pooling="learned_gem", gem_power=2.0), LAYERS)
    assert isinstance(pool, GeneralisedMean)
    np.testing.assert_array_equal(pool.p[...], [2.0])


def test_the_class_token_is_a_pooling_where_there_is_one():
    token = jnp.asarray([[1.0, 2.0]], jnp.bfloat16)
    np.testing.assert_array_equal(pooled("token", jnp.zeros((1, 2, 2, 2)), token=token), [[1, 2]])
    with pytest.raises(ConfigError, match="not a transformer"):
        pooled("token", jnp.zeros((1, 2, 2, 2)))
