import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.resnet import (
    BasicBlock,
    BlockOptions,
    Bottleneck,
    ResNet,
    SqueezeExcitation,
)
from fashion_jax.models.backbones.spec import BackboneOptions
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import max_pool_3x3
from fashion_jax.versions import enable_x64
from tests.models.backbones.checks import (
    drawn,
    gradients_are_right,
    layers_float64,
)
from tests.models.backbones.reference import batch_norm, conv, gate, instance_norm, randomised, relu
from tests.models.backbones.shallow import shallow

PLAIN = BlockOptions()
SQUEEZED = BlockOptions(squeeze_excitation=True)
GROUPS = BlockOptions(squeeze_excitation=True, groups=4, group_width=16)
# Block, inputs, width, stride, IBN, options.
BLOCKS = {
    "basic": (BasicBlock, 8, 8, 1, None, PLAIN),
    "basic, stride 2": (BasicBlock, 8, 12, 2, None, PLAIN),
    "basic, SE": (BasicBlock, 64, 64, 1, None, SQUEEZED),
    "basic, IBN-a": (BasicBlock, 8, 8, 1, "a", PLAIN),
    "bottleneck": (Bottleneck, 16, 4, 1, None, PLAIN),
    "bottleneck, stride 2": (Bottleneck, 8, 8, 2, None, PLAIN),
    "bottleneck, IBN-a": (Bottleneck, 16, 4, 1, "a", PLAIN),
    "bottleneck, IBN-b": (Bottleneck, 16, 4, 1, "b", PLAIN),
    "bottleneck, SE": (Bottleneck, 8, 32, 1, None, SQUEEZED),
    "bottleneck, SE and groups": (Bottleneck, 8, 32, 2, None, GROUPS),
}


def make(name):
    block, inputs, width, stride, ibn, options = BLOCKS[name]
    return block(inputs, width, stride, ibn, options, layers_float64()), inputs


def first_norm(layer, hidden):
    if not hasattr(layer, "IN"):
        return batch_norm(layer, hidden)
    half = hidden.shape[-1] // 2
    parts = instance_norm(layer.IN, hidden[..., :half]), batch_norm(layer.BN, hidden[..., half:])
    return np.concatenate(parts, -1)


def reference(block, inputs):
    """The papers' figures, step by step."""
    hidden = relu(first_norm(block.bn1, conv(block.conv1, inputs)))
    hidden = batch_norm(block.bn2, conv(block.conv2, hidden))
    if isinstance(block, Bottleneck):
        hidden = batch_norm(block.bn3, conv(block.conv3, relu(hidden)))
    if block.se is not None:
        hidden = gate(block.se, hidden)
    if block.downsample is not None:
        inputs = batch_norm(block.downsample[1], conv(block.downsample[0], inputs))
    outputs = hidden + inputs
    return relu(outputs if block.IN is None else instance_norm(block.IN, outputs))


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_agree_with_numpy(name):
    with enable_x64(True):
        block, inputs = make(name)
        randomised(block)
        images = drawn(2, 5, 7, inputs)
        found = nnx.jit(lambda block, images: block(images, False))(block, images)
        np.testing.assert_allclose(found, reference(block, np.asarray(images)), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["basic, IBN-a", "bottleneck, stride 2", "bottleneck, IBN-b", "bottleneck, SE and groups"],
)
def test_gradients(name):
    with enable_x64(True):
        block, inputs = make(name)
        gradients_are_right(block, drawn(3, 4, 4, inputs))


# torchvision's and timm's model tables, without the 1000-way classifier; IBN-a has as many as
# the plain network, IBN-b two numbers for each channel of two instance norms more.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "with_classifier"),
    [
        ("resnet18", 11_689_512),
        ("resnet34", 21_797_672),
        ("resnet50", 25_557_032),
        ("resnet101", 44_549_160),
        ("resnet152", 60_192_808),
        ("resnet50_ibn_a", 25_557_032),
        ("resnet101_ibn_a", 44_549_160),
        ("resnet50_ibn_b", 25_557_032 + 2 * 256 + 2 * 512),
        ("se_resnet50", 28_088_024),
        ("se_resnet101", 49_326_872),
        ("se_resnet152", 66_821_848),
        ("se_resnext50_32x4d", 27_559_896),
        ("se_resnext101_32x4d", 48_955_416),
    ],
)
def test_as_many_parameters_as_published(name, with_classifier):
    network = BACKBONES[name].abstract()
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    assert count == with_classifier - 1000 * (network.width + 1)


@pytest.mark.parametrize(("channels", "squeezed"), [(64, 8), (256, 16), (320, 24), (2048, 128)])
def test_squeezed_widths_are_timms(channels, squeezed):
    block = SqueezeExcitation(channels, LayerFactory(nnx.Rngs(0)))
    assert block.fc1.kernel.shape[-1] == squeezed


@pytest.mark.slow
def test_ibn_is_where_the_paper_has_it():
    a, b = (BACKBONES[name].abstract() for name in ("resnet50_ibn_a", "resnet50_ibn_b"))
    stages = ("layer1", "layer2", "layer3", "layer4")
    assert [hasattr(getattr(a, stage)[0].bn1, "IN") for stage in stages] == [True] * 3 + [False]
    assert [[block.IN is not None for block in getattr(b, stage)] for stage in stages] == [
        [False, False, True],
        [False, False, False, True],
        [False] * 6,
        [False] * 3,
    ]
    assert not hasattr(b.bn1, "mean")


@pytest.mark.slow
def test_the_stem_is_optional_where_frameworks_differ():
    images = drawn(1, 20, 20, 3).astype(jnp.float32)
    variant = shallow(BACKBONES["resnet18"]).variant
    maps = []
    for options in (
        BackboneOptions(),
        BackboneOptions(stem_relu=False),
        BackboneOptions(stem_pool="ceil"),
    ):
        network = ResNet(variant, LayerFactory(nnx.Rngs(0)), options)
        maps.append(np.asarray(network(images, False).positions))
    assert not np.allclose(maps[0], maps[1])
    assert not np.allclose(maps[0], maps[2])


@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_bottlenecks_stride_where_the_option_says(stride_in_1x1):
    spec = shallow(BACKBONES["se_resnet50"])
    options = BackboneOptions(last_stride=2, stride_in_1x1=stride_in_1x1)
    network = nnx.eval_shape(lambda: spec.build(LayerFactory(nnx.Rngs(0)), options))
    strides = [
        (block.conv1.stride, block.conv2.stride, block.downsample[0].stride)
        for (block,) in (network.layer1, network.layer2, network.layer3, network.layer4)
    ]
    assert strides == [(1, 1, 1), *[(2, 1, 2) if stride_in_1x1 else (1, 2, 2)] * 3]


def test_the_pooling_without_padding_is_pytorchs_ceil_mode():
    images = jnp.arange(7.0).reshape(1, 7, 1, 1)
    images = jnp.broadcast_to(images, (1, 7, 6, 1))
    pooled = max_pool_3x3(images, 0)
    np.testing.assert_array_equal(pooled[0, :, 0, 0], [2, 4, 6])
    assert pooled.shape == (1, 3, 3, 1)  # six columns: windows at 0, 2 and 4
