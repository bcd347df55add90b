"""Vision Transformers (arXiv:2010.11929): plain ones, DINOv2's and CLIP's vision towers.

DINOv2: Oquab et al. 2023, arXiv:2304.07193; registers: Darcet et al. 2023, arXiv:2309.16588;
CLIP: Radford et al. 2021, arXiv:2103.00020.
"""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones.position_embedding import resample_positions
from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    FeatureMap,
)
from fashion_jax.models.backbones.vit_block import INITIAL_STD, Block
from fashion_jax.models.gradient_checkpointing import run_block
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import Conv2d


class PhotoSizeError(FashionJaxError):
    """A photo whose sides are no multiples of the patch."""


@dataclasses.dataclass(frozen=True)
class ViTVariant:
    """What distinguishes one Vision Transformer from another.

    Attributes:
        patch: side of a patch in pixels.
        width: channels of a token.
        depth: number of blocks.
        heads: of the attention.
        grid: patches along a side of the photos that it was trained with.
        registers: tokens without a place (arXiv:2309.16588).
        layer_scale: whether branches are scaled before they are added.
        quick_gelu: CLIP's activation.
        pre_norm: whether tokens are normalised before the first block.
        patch_bias: whether the patch embedding has a bias.
        epsilon: of the normalisations.
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
        """Returns one token a patch."""
        return self.proj(images)


class ViT(Backbone):
    """A Vision Transformer; its map holds the patches' tokens, its token is the class token.

    The options `last_stride` and `stem_relu` have no effect. Both outputs are normalised by the
    last norm, which CLIP's published models apply to the class token alone.

    Attributes:
        width: channels of a token.
    """

    def __init__(self, variant: ViTVariant, layers: LayerFactory, options: BackboneOptions) -> None:
        """Makes the network with fresh weights."""
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
        """Returns the tokens, in the dtype of the photos.

        Raises:
            PhotoSizeError: the photos' sides are no multiples of the patch.
        """
        _, height, width, _ = images.shape
        rows, columns = patches_of(height, width, self.variant.patch)
        tokens = self._embed(images, rows, columns)
        if self.norm_pre is not None:
            tokens = self.norm_pre(tokens)
        for block in self.blocks:
            tokens = run_block(block, tokens, train, self.gradient_checkpointing)
        tokens = self.norm(tokens)
        positions = tokens[:, 1 + self.variant.registers :]
        return FeatureMap(positions.reshape(-1, rows, columns, self.width), tokens[:, 0])

    def _embed(
        self, images: Float[Array, "batch height width 3"], rows: int, columns: int
    ) -> Float[Array, "batch tokens features"]:
        """Class token, registers and patches, with their places; registers have none."""
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
    """Returns how many patches lie along a photo's height and width.

    Raises:
        PhotoSizeError: a side is no multiple of the patch.
    """
    if height % patch or width % patch or not height or not width:
        nearest = [max(1, round(side / patch)) * patch for side in (height, width)]
        raise PhotoSizeError(
            f"photos of {height} × {width} pixels cannot be divided into patches of {patch}; "
            f"the nearest size that can is {nearest[0]} × {nearest[1]} "
            "(image.height, image.width)"
        )
    return height // patch, width // patch
