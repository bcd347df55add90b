import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ConfigError
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.position_embedding import (
    cubic,
    resample_positions,
    resampling_weights,
)
from fashion_jax.models.backbones.spec import BackboneOptions
from fashion_jax.models.backbones.vit import Block, ViT, ViTVariant, patches_of
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.versions import enable_x64
from tests.models.backbones.checks import (
    drawn,
    gradients_are_right,
    layers_float64,
)
from tests.models.backbones.reference import (
    conv,
    gelu,
    layer_norm,
    linear,
    randomised,
    sigmoid,
    softmax,
    value,
)

PLAIN = ViTVariant(patch=4, width=12, depth=2, heads=3, grid=3)
DINOV2 = dataclasses.replace(PLAIN, registers=2, layer_scale=True)
CLIP = dataclasses.replace(PLAIN, quick_gelu=True, pre_norm=True, patch_bias=False, epsilon=1e-5)


def block_reference(block, tokens):
    """Equations 2 and 3 of arXiv:2010.11929, head by head."""
    normal = linear(block.attn.qkv, layer_norm(block.norm1, tokens))
    width, heads = tokens.shape[-1], block.attn.heads
    each = width // heads
    mixed = []
    for head in range(heads):
        query, key, values = (
            normal[..., part * width + head * each : part * width + (head + 1) * each]
            for part in range(3)
        )
        weights = softmax(query @ key.transpose(0, 2, 1) / np.sqrt(each))
        mixed.append(weights @ values)
    attended = linear(block.attn.proj, np.concatenate(mixed, -1))
    tokens = tokens + (attended if block.ls1 is None else attended * value(block.ls1.gamma))
    hidden = linear(block.mlp.fc1, layer_norm(block.norm2, tokens))
    hidden = hidden * sigmoid(1.702 * hidden) if block.mlp.quick else gelu(hidden)
    hidden = linear(block.mlp.fc2, hidden)
    return tokens + (hidden if block.ls2 is None else hidden * value(block.ls2.gamma))


def reference(network, images):
    """For photos of the native size."""
    variant = network.variant
    patches = conv(network.patch_embed.proj, images).reshape(len(images), -1, variant.width)
    places = value(network.pos_embed)
    token = np.broadcast_to(value(network.cls_token), (len(images), 1, variant.width))
    parts = [token + places[:, :1], patches + places[:, 1:]]
    if variant.registers:
        shape = (len(images), variant.registers, variant.width)
        parts.insert(1, np.broadcast_to(value(network.register_tokens), shape))
    tokens = np.concatenate(parts, 1)
    if network.norm_pre is not None:
        tokens = layer_norm(network.norm_pre, tokens)
    for block in network.blocks:
        tokens = block_reference(block, tokens)
    tokens = layer_norm(network.norm, tokens)
    return tokens[:, 1 + variant.registers :], tokens[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("variant", [PLAIN, DINOV2, CLIP])
def test_networks_agree_with_numpy(variant):
    with enable_x64(True):
        network = randomised(ViT(variant, layers_float64(), BackboneOptions()))
        images = drawn(2, 12, 12, 3)
        found = nnx.jit(lambda network, images: network(images, False))(network, images)
        positions, token = reference(network, np.asarray(images))
        assert found.positions.shape == (2, 3, 3, 12)
        np.testing.assert_allclose(found.positions.reshape(2, 9, 12), positions, rtol=1e-8)
        np.testing.assert_allclose(found.token, token, rtol=1e-8)


@pytest.mark.slow
def test_gradients():
    with enable_x64(True):
        block = Block(8, 2, layers_float64(), layer_scale=True, quick_gelu=False, epsilon=1e-6)
        gradients_are_right(block, drawn(2, 5, 8))


def test_keys_kernel_by_hand():
    assert [cubic(x, -0.5) for x in (0.0, 1.0, 2.0, 3.0)] == [1, 0, 0, 0]
    assert cubic(0.5, -0.75) == pytest.approx(1.25 / 8 - 2.25 / 4 + 1)
    assert cubic(-1.5, -0.5) == pytest.approx(-0.5 * (27 / 8 - 45 / 4 + 12 - 4))


def test_resampling_by_hand():
    # Twice as many: new place 3 lies at 1.25, a quarter after old place 1.
    weights = resampling_weights(4, 8, False, 0.0)
    np.testing.assert_allclose(weights[3], [cubic(float(x) - 1.25, -0.75) for x in range(4)])
    # New place 0 lies at -0.25: what would be at -2 and -1 is counted at 0.
    first = [cubic(x + 0.25, -0.75) for x in (-2, -1, 0, 1)]
    np.testing.assert_allclose(weights[0], [sum(first[:3]), first[3], 0, 0])
    # Half as many, smoothed: the kernel is twice as wide around 2 x 1.5 - 0.5 = 2.5.
    smooth = np.array([cubic((x - 2.5) / 2, -0.5) for x in range(8)])
    np.testing.assert_allclose(resampling_weights(8, 4, True, 0.0)[1], smooth / smooth.sum())


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize(("source", "target"), [(4, 9), (9, 4), (16, 5), (1, 3)])
def test_resampling_keeps_what_is_constant(source, target, antialias):
    weights = resampling_weights(source, target, antialias, 0.1)
    np.testing.assert_allclose(weights.sum(1), 1)


def test_the_native_grid_is_left_as_it_is():
    positions = drawn(9, 4).astype(jnp.float32)
    assert resample_positions(positions, 3, 3, True, 0.1) is positions
    stretched = resample_positions(positions, 3, 6, False, 0.0).reshape(3, 6, 4)
    weights = resampling_weights(3, 6, False, 0.0)
    expected = np.einsum("cj,rjw->rcw", weights, np.asarray(positions).reshape(3, 3, 4))
    np.testing.assert_allclose(stretched, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_photos_of_another_size():
    network = ViT(DINOV2, LayerFactory(nnx.Rngs(0)), BackboneOptions())
    maps = network(jnp.zeros((1, 16, 8, 3)), False)
    assert maps.positions.shape == (1, 4, 2, 12)
    with pytest.raises(ConfigError, match=r"patches of 4; the nearest .* is 16 × 8"):
        network(jnp.zeros((1, 17, 8, 3)), False)
    with pytest.raises(ConfigError, match="14 × 28"):
        patches_of(10, 30, 14)


@pytest.mark.slow
def test_bfloat16_stays_near():
    network = randomised(ViT(DINOV2, LayerFactory(nnx.Rngs(0)), BackboneOptions()))
    images = drawn(2, 12, 12, 3).astype(jnp.float32)
    wide, narrow = (network(images.astype(dtype), False) for dtype in (jnp.float32, jnp.bfloat16))
    assert narrow.token.dtype == narrow.positions.dtype == jnp.bfloat16
    np.testing.assert_allclose(narrow.token.astype(jnp.float32), wide.token, atol=0.05)


# timm's model table (a 1000-way classifier), and DINOv2's (mask_token counts there).
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("vit_s16", 22_050_664 - 385 * 1000),
        ("vit_b16", 86_567_656 - 769 * 1000),
        ("vit_l16", 304_326_632 - 1025 * 1000),
        ("dinov2_vit_s14", 22_056_576 - 384),
        ("dinov2_vit_b14", 86_580_480 - 768),
        ("dinov2_vit_l14", 304_368_640 - 1024),
        ("dinov2_vit_s14_reg4", 22_056_576 - 384 + 4 * 384),
    ],
)
def test_as_many_parameters_as_published(name, published):
    network = BACKBONES[name].abstract()
    count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(network, nnx.Param)))
    assert count == published
