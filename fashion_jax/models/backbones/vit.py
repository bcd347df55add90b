"""Vision Transformers (arXiv:2010.11929): plain, DINOv2's and the vision towers of CLIP.

DINOv2: Oquab et al. 2023, arXiv:2304.07193; registers: Darcet et al. 2023, arXiv:2309.16588;
CLIP: Radford et al. 2021, arXiv:2103.00020.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.config import ConfigError
from fashion_jax.models.backbones.position_embedding import resample_positions
from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    FeatureMap,
)
from fashion_jax.models.backbones.vit_block import INITIAL_STD, Block
from fashion_jax.models.gradient_checkpointing import run_blocks
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import Conv2d


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

    The options `last_stride`, `stem_relu` and `stem_pool` have no effect. The last norm applies to
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
        self.blocks = nnx.List([self._block(layers) for _ in range(variant.depth)])
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
