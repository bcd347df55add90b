import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.models.heads import make_neck
from fashion_jax.models.layer_factory import LayerFactory

FEATURES = jnp.asarray([[1.0, 4.0], [3.0, 0.0]])


def neck_of(name, width=0):
    neck = make_neck(ModelConfig(neck=name, embedding_width=width), 2, LayerFactory(nnx.Rngs(0)))
    if hasattr(neck, "linear"):
        neck.linear.kernel[...] = jnp.asarray([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    return neck


def names(neck):
    return [".".join(path) for path, _ in nnx.to_flat_state(nnx.state(neck, nnx.Param))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width", "parameters", "embedding"),
    [
        ("none", 0, [], FEATURES),
        ("bnneck", 0, ["norm.scale"], [[-1, 1], [1, -1]]),
        ("linear", 3, ["linear.bias", "linear.kernel"], [[1, 4, 5], [3, 0, 3]]),
        ("linear_bnneck", 3, ["linear.kernel", "norm.scale"], [[-1, 1, 1], [1, -1, -1]]),
        (
            "linear_bn_relu",
            3,
            ["linear.bias", "linear.kernel", "norm.bias", "norm.scale"],
            [[0, 1, 1], [1, 0, 0]],
        ),
    ],
)
def test_necks_by_hand(name, width, parameters, embedding):
    neck = neck_of(name, width)
    assert names(neck) == parameters
    assert neck.width == np.shape(embedding)[1]
    np.testing.assert_allclose(neck(FEATURES, True), embedding, atol=1e-4)


def test_in_inference_the_running_statistics_count():
    neck = neck_of("bnneck")
    neck.norm.mean[...] = jnp.asarray([1.0, 2.0])
    np.testing.assert_allclose(
        neck(FEATURES, False), FEATURES - jnp.asarray([[1.0, 2.0]]), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "width", "message"),
    [
        ("linear", 0, "set a width above 0 for linear"),
        ("bnneck", 64, "and 0 for bnneck, none"),
    ],
)
def test_wrong_necks_are_refused(name, width, message):
    with pytest.raises(ConfigError, match=message):
        neck_of(name, width)
