"""Blocks of the ResNet family, and the parts that its members add to them.

IBN-Net: Pan et al. 2018, arXiv:1807.09441. Squeeze-and-excitation: Hu et al. 2018,
arXiv:1709.01507. Grouped convolutions (ResNeXt): Xie et al. 2017, arXiv:1611.05431.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.norms import BatchNorm

IBN = Literal["a", "b"] | None

SE_REDUCTION = 16
SE_MULTIPLE = 8  # timm rounds the squeezed width to a multiple of it


@dataclasses.dataclass(frozen=True)
class BlockOptions:
    """Options that all blocks of a network share.

    Attributes:
        squeeze_excitation: whether channels are weighted before the shortcut is added.
        groups: number of groups of a bottleneck's 3x3 convolution.
        group_width: number of channels of a group per 64 of the stage's width.
    """

    squeeze_excitation: bool = False
    groups: int = 1
    group_width: int = 64


class InstanceBatchNorm(nnx.Module):
    """IBN-a: half of the channels normalised by instance, the others by batch (figure 3)."""

    def __init__(self, channels: int, layers: LayerFactory) -> None:
        self.half = channels // 2
        self.IN = layers.instance_norm(self.half)
        self.BN = layers.batch_norm(channels - self.half)

    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Return the normalised features."""
        instance = self.IN(inputs[..., : self.half])
        return jnp.concatenate([instance, self.BN(inputs[..., self.half :], train)], -1)


class SqueezeExcitation(nnx.Module):
    """Weights for each channel from the means of all channels (arXiv:1709.01507, equation 3)."""

    def __init__(self, channels: int, layers: LayerFactory) -> None:
        nearest = int(channels / SE_REDUCTION / SE_MULTIPLE + 0.5) * SE_MULTIPLE
        squeezed = max(nearest, SE_MULTIPLE)
        self.fc1 = layers.conv(channels, squeezed, 1, bias=True)
        self.fc2 = layers.conv(squeezed, channels, 1, bias=True)

    def __call__(
        self, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Return the weighted features."""
        wide = inputs.astype(accumulation_dtype(inputs.dtype))
        means = jnp.mean(wide, (1, 2), keepdims=True).astype(inputs.dtype)
        return inputs * jax.nn.sigmoid(self.fc2(jax.nn.relu(self.fc1(means))))


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        ibn: IBN,
        options: BlockOptions,
        layers: LayerFactory,
    ) -> None:
        self.conv1 = layers.conv(inputs, width, 3, stride=stride)
        self.bn1 = _first_norm(width, ibn, layers)
        self.conv2 = layers.conv(width, width, 3)
        self.bn2 = layers.batch_norm(width)
        self.se = SqueezeExcitation(width, layers) if options.squeeze_excitation else None
        self.downsample = _downsample(inputs, width, stride, layers)
        self.IN = layers.instance_norm(width) if ibn == "b" else None

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Return the block's features."""
        hidden = jax.nn.relu(self.bn1(self.conv1(inputs), train))
        hidden = self.bn2(self.conv2(hidden), train)
        return _add_shortcut(self, hidden, inputs, train)


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the 3x3 has the stride (torchvision's v1.5)."""

    expansion = 4

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int,
        ibn: IBN,
        options: BlockOptions,
        layers: LayerFactory,
    ) -> None:
        hidden = width * options.group_width // 64 * options.groups
        outputs = width * self.expansion
        self.conv1 = layers.conv(inputs, hidden, 1)
        self.bn1 = _first_norm(hidden, ibn, layers)
        self.conv2 = layers.conv(hidden, hidden, 3, stride=stride, groups=options.groups)
        self.bn2 = layers.batch_norm(hidden)
        self.conv3 = layers.conv(hidden, outputs, 1)
        self.bn3 = layers.batch_norm(outputs)
        self.se = SqueezeExcitation(outputs, layers) if options.squeeze_excitation else None
        self.downsample = _downsample(inputs, outputs, stride, layers)
        self.IN = layers.instance_norm(outputs) if ibn == "b" else None

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Return the block's features."""
        hidden = jax.nn.relu(self.bn1(self.conv1(inputs), train))
        hidden = jax.nn.relu(self.bn2(self.conv2(hidden), train))
        hidden = self.bn3(self.conv3(hidden), train)
        return _add_shortcut(self, hidden, inputs, train)


Block = type[BasicBlock] | type[Bottleneck]


def _first_norm(channels: int, ibn: IBN, layers: LayerFactory) -> InstanceBatchNorm | BatchNorm:
    return InstanceBatchNorm(channels, layers) if ibn == "a" else layers.batch_norm(channels)


def _downsample(inputs: int, outputs: int, stride: int, layers: LayerFactory) -> nnx.List | None:
    if stride == 1 and inputs == outputs:
        return None
    conv = layers.conv(inputs, outputs, 1, stride=stride)
    return nnx.List([conv, layers.batch_norm(outputs)])


def _add_shortcut(
    block: BasicBlock | Bottleneck, hidden: Array, inputs: Array, train: bool
) -> Array:
    """Apply the end of every block: excitation, shortcut, IBN-b's instance norm and ReLU."""
    if block.se is not None:
        hidden = block.se(hidden)
    if block.downsample is not None:
        conv, norm = block.downsample
        inputs = norm(conv(inputs), train)
    outputs = hidden + inputs
    if block.IN is not None:
        outputs = block.IN(outputs)
    return jax.nn.relu(outputs)
