import jax
import numpy as np
import pytest
from flax import nnx

from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.efficientnet_lite import InvertedResidual, Stage
from fashion_jax.versions import enable_x64
from tests.models.backbones.checks import (
    drawn,
    gradients_are_right,
    layers_float64,
)
from tests.models.backbones.reference import batch_norm, conv, randomised


def reference(block, inputs):
    hidden = inputs
    if block.expands:
        hidden = np.clip(batch_norm(block.bn0, conv(block.expand_conv, hidden)), 0, 6)
    depthwise = conv(block.depthwise_conv, hidden)
    hidden = np.clip(batch_norm(block.bn1, depthwise), 0, 6)
    outputs = batch_norm(block.bn2, conv(block.project_conv, hidden))
    return outputs + inputs if outputs.shape == inputs.shape else outputs


@pytest.mark.slow
@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize(("stride", "width"), [(1, 6), (1, 8), (2, 8)])
@pytest.mark.parametrize("expansion", [1, 6])
def test_blocks_agree_with_numpy(kernel_size, stride, width, expansion):
    with enable_x64(True):
        stage = Stage(1, kernel_size, stride, expansion, width)
        block = randomised(InvertedResidual(6, stage, stride, layers_float64()))
        images = drawn(2, 7, 6, 6)
        found = nnx.jit(lambda block, images: block(images, False))(block, images)
        np.testing.assert_allclose(found, reference(block, np.asarray(images)), rtol=1e-9)


@pytest.mark.slow
def test_gradients():
    with enable_x64(True):
        block = InvertedResidual(4, Stage(1, 5, 2, 6, 8), 2, layers_float64())
        gradients_are_right(block, drawn(3, 5, 6, 4))


# timm's model table, without the 1000-way classifier.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "with_classifier"),
    [
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
    ],
)
def test_as_many_parameters_as_published(name, with_classifier):
    network = BACKBONES[name].abstract()
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    assert count == with_classifier - 1000 * (network.width + 1)
