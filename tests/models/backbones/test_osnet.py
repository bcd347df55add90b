import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.osnet import AINBlock, OSBlock, average_pool_2x2
from fashion_jax.models.norms import InstanceNorm
from fashion_jax.versions import enable_x64
from tests.models.backbones.checks import (
    drawn,
    gradients_are_right,
    layers_float64,
)
from tests.models.backbones.reference import batch_norm, conv, gate, instance_norm, randomised, relu


def conv_norm(layer, inputs):
    outputs = conv(layer.conv, inputs)
    outputs = outputs if layer.bn is None else batch_norm(layer.bn, outputs)
    return relu(outputs) if layer.relu else outputs


def stream(convolutions, features):
    for layer in convolutions:
        features = relu(batch_norm(layer.bn, conv(layer.conv2, conv(layer.conv1, features))))
    return features


def reference(block, inputs):
    """Figure 4 of arXiv:1905.00953; of arXiv:1910.06827 for OSNet-AIN."""
    hidden = conv_norm(block.conv1, inputs)
    if isinstance(block, OSBlock):
        streams = [[block.conv2a], block.conv2b, block.conv2c, block.conv2d]
    else:
        streams = [part.layers for part in block.conv2]
    assert [len(part) for part in streams] == [1, 2, 3, 4]
    outputs = conv_norm(block.conv3, sum(gate(block.gate, stream(s, hidden)) for s in streams))
    shortcut = inputs if block.downsample is None else conv_norm(block.downsample, inputs)
    if block.IN is None:
        return relu(outputs + shortcut)
    if isinstance(block, OSBlock):
        return relu(instance_norm(block.IN, outputs + shortcut))
    return relu(instance_norm(block.IN, outputs) + shortcut)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "by_instance", "inputs"),  # each two of the choices once
    [(OSBlock, False, 32), (OSBlock, True, 64), (AINBlock, False, 64), (AINBlock, True, 32)],
)
def test_blocks_agree_with_numpy(kind, by_instance, inputs):
    with enable_x64(True):
        block = randomised(kind(inputs, 64, by_instance, layers_float64()))
        images = drawn(2, 5, 4, inputs)
        found = nnx.jit(lambda block, images: block(images, False))(block, images)
        np.testing.assert_allclose(found, reference(block, np.asarray(images)), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "by_instance"), [(OSBlock, False), (AINBlock, True)])
def test_gradients(kind, by_instance):
    with enable_x64(True):
        gradients_are_right(kind(32, 64, by_instance, layers_float64()), drawn(2, 4, 3, 32))


def test_average_pooling_leaves_an_odd_border_out():
    images = jnp.arange(15.0).reshape(1, 3, 5, 1)
    np.testing.assert_array_equal(average_pool_2x2(images)[0, ..., 0], [[3.0, 5.0]])


# deep-person-reid's model zoo counts 2.2, 1.3, 0.6 and 0.2 million with the 512-wide `fc`.
@pytest.mark.slow
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
def test_as_many_parameters_as_published(name, millions):
    network = BACKBONES[name].abstract()
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    assert round((count + 512 * network.width + 3 * 512) / 1e6, 1) == millions


@pytest.mark.slow
def test_instance_norm_is_where_the_papers_have_it():
    def blocks(network):
        stages = (network.conv2, network.conv3, network.conv4)
        return [[part.IN is not None for part in stage if hasattr(part, "IN")] for stage in stages]

    names = ("osnet_x1_0", "osnet_ibn_x1_0", "osnet_ain_x1_0")
    plain, ibn, ain = (BACKBONES[name].abstract() for name in names)
    assert blocks(plain) == [[False] * 2] * 3
    assert blocks(ibn) == [[True] * 2, [False] * 2, [False] * 2]
    assert blocks(ain) == [[True, True], [False, True], [True, False]]
    assert [isinstance(part.conv1.bn, InstanceNorm) for part in (plain, ibn, ain)] == [
        False,
        True,
        True,
    ]
