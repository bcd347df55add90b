"""Vision Transformers (arXiv:2010.11929, section 3.1): plain, DINOv2's, and CLIP's vision towers.

DINOv2: Oquab et al. 2023, arXiv:2304.07193; registers: Darcet et al. 2023, arXiv:2309.16588;
CLIP: Radford et al. 2021, arXiv:2103.00020. Layers have the names of DINOv2's own code, which timm
shares.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError
from fashion_jax.models.backbones.position_embedding import resample_positions
from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    BackboneSpec,
    FeatureMap,
    run_blocks,
)
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import Conv2d
from fashion_jax.models.numerics import accumulation_dtype
from fashion_jax.versions import ModuleList

INITIAL_STD = 0.02
INITIAL_LAYER_SCALE = 1e-5  # arXiv:2103.17239, as DINOv2 starts
MLP_RATIO = 4


class Attention(nnx.Module):
    """Multi-head self-attention (equations 5 to 8), with the softmax in at least float32.

    Attributes:
        heads: number of heads.
    """

    def __init__(self, width: int, heads: int, layers: LayerFactory) -> None:
        self.qkv = layers.linear(width, 3 * width, std=INITIAL_STD, bias=True)
        self.proj = layers.linear(width, width, std=INITIAL_STD, bias=True)
        self.heads = heads

    def __call__(
        self, tokens: Float[Array, "batch tokens width"]
    ) -> Float[Array, "batch tokens width"]:
        """Return the attended values, one vector per token."""
        batch, count, width = tokens.shape
        head_width = width // self.heads
        parts = self.qkv(tokens).reshape(batch, count, 3, self.heads, head_width)
        query, key, value = (parts[:, :, index] for index in range(3))
        compute = accumulation_dtype(tokens.dtype)
        scale = jnp.asarray(1 / math.sqrt(head_width), tokens.dtype)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query * scale, key, preferred_element_type=compute)
        weights = jax.nn.softmax(logits, -1).astype(tokens.dtype)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
        return self.proj(mixed.reshape(batch, count, width))


class MLP(nnx.Module):
    """Two linear layers with a GELU between them.

    Attributes:
        quick: whether GELU is approximated by x·sigmoid(1.702 x) (arXiv:1606.08415), as in CLIP.
    """

    def __init__(self, width: int, quick: bool, layers: LayerFactory) -> None:
        self.fc1 = layers.linear(width, MLP_RATIO * width, std=INITIAL_STD, bias=True)
        self.fc2 = layers.linear(MLP_RATIO * width, width, std=INITIAL_STD, bias=True)
        self.quick = quick

    def __call__(
        self, tokens: Float[Array, "batch tokens width"]
    ) -> Float[Array, "batch tokens width"]:
        """Return the transformed tokens."""
        hidden = self.fc1(tokens)
        if self.quick:
            return self.fc2(hidden * jax.nn.sigmoid(jnp.asarray(1.702, hidden.dtype) * hidden))
        return self.fc2(jax.nn.gelu(hidden, approximate=False))


class LayerScale(nnx.Module):
    """One learned factor per channel (Touvron et al. 2021, arXiv:2103.17239).

    Attributes:
        gamma: factors, [width].
    """

    def __init__(self, width: int, layers: LayerFactory) -> None:
        self.gamma = nnx.Param(jnp.full(width, INITIAL_LAYER_SCALE, layers.param_dtype))

    def __call__(
        self, tokens: Float[Array, "batch tokens width"]
    ) -> Float[Array, "batch tokens width"]:
        """Return the scaled tokens."""
        return tokens * self.gamma[...].astype(tokens.dtype)[None, None]


class Block(nnx.Module):
    """Attention and MLP, each after a LayerNorm and inside a residual (equations 2 and 3)."""

    def __init__(
        self,
        width: int,
        heads: int,
        layers: LayerFactory,
        *,
        layer_scale: bool,
        quick_gelu: bool,
        epsilon: float,
    ) -> None:
        self.norm1 = layers.layer_norm(width, epsilon=epsilon)
        self.attn = Attention(width, heads, layers)
        self.ls1 = LayerScale(width, layers) if layer_scale else None
        self.norm2 = layers.layer_norm(width, epsilon=epsilon)
        self.mlp = MLP(width, quick_gelu, layers)
        self.ls2 = LayerScale(width, layers) if layer_scale else None

    def __call__(
        self, tokens: Float[Array, "batch tokens width"], train: bool
    ) -> Float[Array, "batch tokens width"]:
        """Return the block's tokens; `train` has no effect."""
        tokens = tokens + _scaled(self.ls1, self.attn(self.norm1(tokens)))
        return tokens + _scaled(self.ls2, self.mlp(self.norm2(tokens)))


def _scaled(scale: LayerScale | None, tokens: Array) -> Array:
    return tokens if scale is None else scale(tokens)


@dataclasses.dataclass(frozen=True)
class ViTVariant:
    """Size and options of one Vision Transformer.

    Attributes:
        patch: side of a patch in pixels.
        width: number of channels of a token.
        depth: number of blocks.
        heads: number of heads of the attention.
        grid: number of patches along a side of the images that it was trained with.
        registers: number of tokens without a position (arXiv:2309.16588).
        layer_scale: whether branches are scaled before they are added.
        quick_gelu: whether the activation is CLIP's, see `MLP`.
        pre_norm: whether tokens are normalised before the first block.
        patch_bias: whether the patch embedding has a bias.
        epsilon: epsilon of the LayerNorms.
        antialias: see `resample_positions`.
        offset: see `resample_positions`.
    """

    patch: int
    width: int
    depth: int
    heads: int
    grid: int
    registers: int = 0
    layer_scale: bool = False
    quick_gelu: bool = False
    pre_norm: bool = False
    patch_bias: bool = True
    epsilon: float = 1e-6
    antialias: bool = True
    offset: float = 0.0


class PatchEmbedding(nnx.Module):
    """A linear layer over each patch, as a convolution without overlap (`proj`)."""

    proj: Conv2d

    def __init__(self, patch: int, width: int, bias: bool, layers: LayerFactory) -> None:
        self.proj = layers.conv(3, width, patch, stride=patch, padding="none", bias=bias)

    def __call__(
        self, images: Float[Array, "batch height width 3"]
    ) -> Float[Array, "batch rows columns features"]:
        """Return one token per patch."""
        return self.proj(images)


class ViT(Backbone):
    """A Vision Transformer; its map holds the tokens of the patches.

    The options of strides and stem have no effect. The last norm applies to
    the map and the class token; CLIP's published models apply it to the class token alone.

    Attributes:
        width: number of channels of a token.
    """

    def __init__(self, variant: ViTVariant, layers: LayerFactory, options: BackboneOptions) -> None:
        """Make the network with initial weights."""
        width = variant.width
        self.variant = variant
        self.gradient_checkpointing = options.gradient_checkpointing
        self.width = width
        self.patch_embed = PatchEmbedding(variant.patch, width, variant.patch_bias, layers)
        self.cls_token = layers.parameter((1, 1, width), std=INITIAL_STD)
        self.pos_embed = layers.parameter((1, 1 + variant.grid**2, width), std=INITIAL_STD)
        registers = (1, variant.registers, width)
        self.register_tokens = (
            layers.parameter(registers, std=INITIAL_STD) if variant.registers else None
        )
        self.norm_pre = (
            layers.layer_norm(width, epsilon=variant.epsilon) if variant.pre_norm else None
        )
        self.blocks = ModuleList([self._block(layers) for _ in range(variant.depth)])
        self.norm = layers.layer_norm(width, epsilon=variant.epsilon)

    def _block(self, layers: LayerFactory) -> Block:
        variant = self.variant
        return Block(
            variant.width,
            variant.heads,
            layers,
            layer_scale=variant.layer_scale,
            quick_gelu=variant.quick_gelu,
            epsilon=variant.epsilon,
        )

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the tokens, in the dtype of the images.

        Raises:
            ConfigError: if the sides of the images are not multiples of the patch.
        """
        _, height, width, _ = images.shape
        rows, columns = patches_of(height, width, self.variant.patch)
        tokens = self._embed(images, rows, columns)
        if self.norm_pre is not None:
            tokens = self.norm_pre(tokens)
        tokens = run_blocks(self.blocks, tokens, train, self.gradient_checkpointing)
        tokens = self.norm(tokens)
        positions = tokens[:, 1 + self.variant.registers :]
        return FeatureMap(positions.reshape(-1, rows, columns, self.width), tokens[:, 0])

    def _embed(
        self, images: Float[Array, "batch height width 3"], rows: int, columns: int
    ) -> Float[Array, "batch tokens features"]:
        """Return class token, registers and patches; positions are added to all but registers."""
        dtype, variant = images.dtype, self.variant
        places = self.pos_embed[...]
        grid = resample_positions(places[0, 1:], rows, columns, variant.antialias, variant.offset)
        patches = self.patch_embed(images)
        patches = patches.reshape(-1, rows * columns, self.width) + grid[None].astype(dtype)
        first = [self.cls_token[...] + places[:, :1]]
        if self.register_tokens is not None:
            first.append(self.register_tokens[...])
        shared = jnp.concatenate(first, 1).astype(dtype)
        shared = jnp.broadcast_to(shared, (images.shape[0], *shared.shape[1:]))
        return jnp.concatenate([shared, patches], 1)


def patches_of(height: int, width: int, patch: int) -> tuple[int, int]:
    """Return the numbers of patches along an image's height and width.

    Raises:
        ConfigError: if a side is not a multiple of the patch.
    """
    if height % patch or width % patch or not height or not width:
        nearest = [max(1, round(side / patch)) * patch for side in (height, width)]
        raise ConfigError(
            f"images of {height} × {width} pixels (image.height, image.width) cannot be divided "
            f"into patches of {patch}; the nearest size that can is {nearest[0]} × {nearest[1]}"
        )
    return height // patch, width // patch


# Width, depth and heads (arXiv:2010.11929, table 1; S: arXiv:2012.12877).
_SIZES = {"s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16)}

# Inception's scaling of pixels, with which timm's plain ones were trained.
_HALF = (127.5, 127.5, 127.5)
_CLIP_MEAN = (0.48145466 * 255, 0.4578275 * 255, 0.40821073 * 255)
_CLIP_STD = (0.26862954 * 255, 0.26130258 * 255, 0.27577711 * 255)

_PLAIN_SIDE, _DINOV2_SIDE = 224, 518


def _plain(size: str, patch: int) -> BackboneSpec:
    variant = ViTVariant(patch, *_SIZES[size], grid=_PLAIN_SIDE // patch)
    return BackboneSpec(
        ViT, variant, "2010.11929", (_PLAIN_SIDE, _PLAIN_SIDE), mean=_HALF, std=_HALF
    )


def _dinov2(size: str, registers: int) -> BackboneSpec:
    patch = 14
    variant = ViTVariant(
        patch,
        *_SIZES[size],
        grid=_DINOV2_SIDE // patch,
        registers=registers,
        layer_scale=True,
        # DINOv2's own code resamples in these two ways.
        antialias=registers > 0,
        offset=0.0 if registers else 0.1,
    )
    paper = "2309.16588" if registers else "2304.07193"
    return BackboneSpec(ViT, variant, paper, (_DINOV2_SIDE, _DINOV2_SIDE))


def _clip(size: str, patch: int) -> BackboneSpec:
    variant = ViTVariant(
        patch,
        *_SIZES[size],
        grid=_PLAIN_SIDE // patch,
        quick_gelu=True,
        pre_norm=True,
        patch_bias=False,
        epsilon=1e-5,
        antialias=False,
    )
    return BackboneSpec(
        ViT, variant, "2103.00020", (_PLAIN_SIDE, _PLAIN_SIDE), mean=_CLIP_MEAN, std=_CLIP_STD
    )


SPECS = {
    **{f"vit_{size}{patch}": _plain(size, patch) for size in _SIZES for patch in (14, 16)},
    **{f"dinov2_vit_{size}14": _dinov2(size, 0) for size in _SIZES},
    **{f"dinov2_vit_{size}14_reg4": _dinov2(size, 4) for size in _SIZES},
    "clip_vit_b16": _clip("b", 16),
    "clip_vit_l14": _clip("l", 14),
}
