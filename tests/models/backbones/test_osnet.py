import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.test_util import check_grads

from fashion_jax.models.backbones.osnet import SPECS, average_pool_2x2
from fashion_jax.models.backbones.osnet_blocks import (
    AINBlock,
    ChannelGate,
    LightConv3x3,
    LightConvStream,
    OSBlock,
)
from fashion_jax.models.backbones.spec import BackboneOptions
from fashion_jax.models.layer_factory import LayerFactory
from tests.models.backbones import osnet_reference as reference
from tests.models.backbones.shallow import shallow

KINDS = [(OSBlock, False), (OSBlock, True), (AINBlock, False), (AINBlock, True)]


def double_layers() -> LayerFactory:
    return LayerFactory(nnx.Rngs(0), param_dtype=jnp.float64)


def photos(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape)


def run(module, inputs, *train):
    graphdef, state = nnx.split(module)
    return jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, *train))(
        state, jnp.asarray(inputs)
    )


def parameters(name: str) -> dict[str, tuple[int, ...]]:
    model = nnx.eval_shape(lambda: SPECS[name].build(LayerFactory(nnx.Rngs(0)), BackboneOptions()))
    state = nnx.to_flat_state(nnx.state(model, nnx.Param))
    return {".".join(map(str, path)): leaf.shape for path, leaf in state}


def count(name: str) -> int:
    return sum(int(np.prod(shape)) for shape in parameters(name).values())


def test_light_convolution_agrees_with_numpy():
    with jax.enable_x64(True):
        layer = LightConv3x3(5, double_layers())
        reference.randomise(layer)
        inputs = photos(2, 4, 3, 5)
        expected = reference.light_conv(layer, inputs)
        np.testing.assert_allclose(run(layer, inputs, False), expected, atol=1e-9)


def test_stream_agrees_with_numpy():
    with jax.enable_x64(True):
        layer = LightConvStream(5, 3, double_layers())
        reference.randomise(layer)
        inputs = photos(2, 4, 3, 5)
        expected = reference.stream(list(layer.layers), inputs)
        np.testing.assert_allclose(run(layer, inputs, False), expected, atol=1e-9)


def test_gate_agrees_with_numpy():
    with jax.enable_x64(True):
        layer = ChannelGate(32, double_layers())
        assert layer.fc1.kernel.shape == (1, 1, 32, 2)
        reference.randomise(layer)
        inputs = photos(2, 4, 3, 32)
        expected = reference.gate(layer, inputs)
        np.testing.assert_allclose(run(layer, inputs), expected, atol=1e-9)


@pytest.mark.parametrize("inputs_width", [8, 64])  # with and without a downsample
@pytest.mark.parametrize(("kind", "by_instance"), KINDS)
def test_block_agrees_with_numpy(kind, by_instance, inputs_width):
    with jax.enable_x64(True):
        block = kind(inputs_width, 64, by_instance, double_layers())
        assert (block.downsample is None) == (inputs_width == 64)
        reference.randomise(block)
        inputs = photos(2, 4, 3, inputs_width)
        expected = {OSBlock: reference.os_block, AINBlock: reference.ain_block}[kind](block, inputs)
        np.testing.assert_allclose(run(block, inputs, False), expected, atol=1e-9)


@pytest.mark.parametrize(("kind", "by_instance"), KINDS)
def test_block_has_right_gradients(kind, by_instance):
    with jax.enable_x64(True):
        block = kind(8, 64, by_instance, double_layers())
        reference.randomise(block)
        graphdef, params, statistics = nnx.split(block, nnx.Param, nnx.BatchStat)

        @jax.jit
        def form(inputs, params):
            outputs = nnx.merge(graphdef, params, statistics, copy=True)(inputs, True)
            return jnp.mean(outputs**2)

        check_grads(form, (jnp.asarray(photos(2, 3, 2, 8)), params), order=1, modes=["rev"])


def test_average_pool_leaves_an_odd_last_row_and_column_out():
    images = jnp.arange(15, dtype=jnp.float32).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(average_pool_2x2(images)[0, :, :, 0], [[3.0, 5.0]])


@pytest.mark.parametrize("name", ["osnet_ibn_x1_0", "osnet_ain_x0_25"])
def test_gradient_checkpointing_changes_nothing(name):
    images = jnp.asarray(photos(2, 32, 32, 3), jnp.float32)

    def outcome(checkpointing):
        options = BackboneOptions(gradient_checkpointing=checkpointing)
        model = shallow(SPECS[name]).build(LayerFactory(nnx.Rngs(0)), options)
        graphdef, params, statistics = nnx.split(model, nnx.Param, nnx.BatchStat)

        def loss(params):
            model = nnx.merge(graphdef, params, statistics, copy=True)
            positions = model(images, train=True).positions
            return jnp.mean(positions**2), nnx.state(model, nnx.BatchStat)

        return jax.tree.leaves(jax.jit(jax.value_and_grad(loss, has_aux=True))(params))

    for plain, checkpointed in zip(outcome(False), outcome(True), strict=True):
        scale = max(float(jnp.abs(plain).max()), 1e-6)
        assert float(jnp.abs(plain - checkpointed).max()) <= 1e-4 * scale


def test_parameters_are_those_of_the_reference(shared):
    keys = json.loads((shared / "goldens" / "backbone_keys.json").read_text())["osnet_x0_25"]
    sizes = [
        int(np.prod(shape))
        for name, shape in keys.items()
        if name.endswith((".weight", ".bias")) and not name.startswith(("fc.", "classifier."))
    ]
    found = parameters("osnet_x0_25")
    assert (len(found), count("osnet_x0_25")) == (len(sizes), sum(sizes))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("osnet_x1_0", 2.2),
        ("osnet_x0_75", 1.3),
        ("osnet_x0_5", 0.6),
        ("osnet_x0_25", 0.2),
        ("osnet_ibn_x1_0", 2.2),
        ("osnet_ain_x1_0", 2.2),
    ],
)
def test_parameters_are_as_many_as_published(name, millions):
    """deep-person-reid's model zoo, which counts `fc`: a linear layer with bias and a BatchNorm."""
    width = SPECS[name].variant.widths[-1]
    neck = width * 512 + 512 + 2 * 512
    assert round((count(name) + neck) / 1e6, 1) == millions


def test_instance_norms_are_where_the_papers_place_them():
    placed = {
        name: [path for path in parameters(name) if path.endswith("IN.scale")]
        for name in ("osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0")
    }
    assert placed == {
        "osnet_x1_0": [],
        "osnet_ibn_x1_0": ["conv2.0.IN.scale", "conv2.1.IN.scale"],
        "osnet_ain_x1_0": [
            f"{block}.IN.scale" for block in ("conv2.0", "conv2.1", "conv3.1", "conv4.0")
        ],
    }
