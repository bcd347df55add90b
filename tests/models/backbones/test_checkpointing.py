"""Gradient checkpointing: of each block, and without any effect on the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.models.backbones import BACKBONES, osnet
from fashion_jax.models.backbones.efficientnet_lite import InvertedResidual, Stage
from fashion_jax.models.backbones.osnet import AINBlock
from fashion_jax.models.backbones.resnet import BlockOptions, Bottleneck
from fashion_jax.models.backbones.spec import BackboneOptions, run_blocks
from fashion_jax.models.backbones.vit import Block
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.versions import ModuleList, enable_x64
from tests.models.backbones.checks import drawn, layers_float64
from tests.models.backbones.reference import randomised

REMAT = ("remat2", "remat", "checkpoint")  # names of the primitive, by JAX's version
# Blocks of each family, and their input.
BLOCKS = {
    "resnet": lambda layers: (
        [Bottleneck(8, 2, 1, "a", BlockOptions(), layers) for _ in range(2)],
        drawn(2, 4, 3, 8),
    ),
    "osnet": lambda layers: (
        [AINBlock(32, 64, True, layers), AINBlock(64, 64, False, layers)],
        drawn(2, 4, 3, 32),
    ),
    "efficientnet_lite": lambda layers: (
        [InvertedResidual(4, Stage(1, 3, 1, 6, 4), 1, layers) for _ in range(2)],
        drawn(3, 5, 6, 4),
    ),
    "vit": lambda layers: (
        [Block(8, 2, layers, layer_scale=True, quick_gelu=False, epsilon=1e-6) for _ in range(2)],
        drawn(2, 5, 8),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("family", BLOCKS)
def test_values_gradients_and_statistics_stay(family, monkeypatch):
    monkeypatch.setattr(osnet, "STREAMS", 2)  # all four take 20 s to compile
    with enable_x64(True):
        blocks, inputs = BLOCKS[family](layers_float64())
        found = [outcome(blocks, inputs, checkpoint) for checkpoint in (False, True)]
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def outcome(blocks, inputs, checkpoint):
    graphdef, params, statistics = nnx.split(
        randomised(ModuleList(blocks)), nnx.Param, nnx.BatchStat
    )

    def loss(params, inputs):
        merged = nnx.merge(graphdef, params, statistics, copy=True)
        outputs = run_blocks(merged, inputs, True, checkpoint)
        return jnp.mean(outputs**2), (outputs, nnx.to_pure_dict(nnx.state(merged, nnx.BatchStat)))

    return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(params, inputs)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet18", 8),
        ("resnet50_ibn_a", 16),
        ("osnet_ain_x0_25", 6),
        ("efficientnet_lite0", 16),
        ("dinov2_vit_s14_reg4", 12),
    ],
)
@pytest.mark.parametrize("checkpointing", [False, True])
def test_every_block_keeps_its_input_alone(name, blocks, checkpointing):
    options = BackboneOptions(gradient_checkpointing=checkpointing)
    network = nnx.eval_shape(lambda: BACKBONES[name].build(LayerFactory(ZeroRngs(0)), options))
    graphdef, state = nnx.split(network)
    images = jax.ShapeDtypeStruct((2, 56, 56, 3), jnp.float32)
    jaxpr = jax.make_jaxpr(lambda state, images: nnx.merge(graphdef, state)(images, True).positions)
    kinds = [equation.primitive.name for equation in jaxpr(state, images).eqns]
    assert sum(kind in REMAT for kind in kinds) == blocks * checkpointing
