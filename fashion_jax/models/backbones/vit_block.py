"""Block of a Vision Transformer (Dosovitskiy et al. 2020, arXiv:2010.11929, section 3.1).

Layers have the names of DINOv2's own code, which timm shares.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.layer_factory import LayerFactory

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
