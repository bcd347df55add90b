"""ResNet (He et al. 2015, arXiv:1512.03385) and its relatives.

IBN-Net: Pan et al. 2018, arXiv:1807.09441. Squeeze-and-excitation: Hu et al. 2018,
arXiv:1709.01507. Grouped convolutions (ResNeXt): Xie et al. 2017, arXiv:1611.05431.

Layers have the names of torchvision, or of IBN-Net and timm for networks that torchvision lacks.
Bottlenecks stride in the 3x3 convolution, as in torchvision and timm; with `stride_in_1x1` in the
first 1x1, as in the paper and in networks that came from Caffe. Both have the same weights.
"""

import dataclasses
import functools
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    BackboneSpec,
    FeatureMap,
    run_blocks,
)
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.layers import max_pool_3x3
from fashion_jax.models.norms import InstanceNorm
from fashion_jax.models.numerics import accumulation_dtype
from fashion_jax.versions import ModuleList

STAGE_WIDTHS = (64, 128, 256, 512)

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
        stride_in_1x1: see `BackboneOptions`.
    """

    squeeze_excitation: bool = False
    groups: int = 1
    group_width: int = 64
    stride_in_1x1: bool = False


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
        self.bn1 = InstanceBatchNorm(width, layers) if ibn == "a" else layers.batch_norm(width)
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
    """1x1, 3x3 and 1x1 convolutions and a shortcut; one of the first two has the stride."""

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
        strides = (stride, 1) if options.stride_in_1x1 else (1, stride)
        self.conv1 = layers.conv(inputs, hidden, 1, stride=strides[0])
        self.bn1 = InstanceBatchNorm(hidden, layers) if ibn == "a" else layers.batch_norm(hidden)
        self.conv2 = layers.conv(hidden, hidden, 3, stride=strides[1], groups=options.groups)
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


def _downsample(inputs: int, outputs: int, stride: int, layers: LayerFactory) -> ModuleList | None:
    if stride == 1 and inputs == outputs:
        return None
    conv = layers.conv(inputs, outputs, 1, stride=stride)
    return ModuleList([conv, layers.batch_norm(outputs)])


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


_PLAIN = BlockOptions()


@dataclasses.dataclass(frozen=True)
class ResNetVariant:
    """Size and blocks of one ResNet.

    Attributes:
        block: class of the blocks.
        blocks: number of blocks in each of the four stages.
        ibn: kind of instance normalisation in each stage; `b` only in its last block.
        options: options of all blocks.
    """

    block: Block
    blocks: tuple[int, int, int, int]
    ibn: tuple[IBN, IBN, IBN, IBN] = (None, None, None, None)
    options: BlockOptions = _PLAIN


class ResNet(Backbone):
    """The network up to its last feature map.

    Attributes:
        width: number of channels of the feature map.
    """

    def __init__(
        self, variant: ResNetVariant, layers: LayerFactory, options: BackboneOptions
    ) -> None:
        """Make the network with initial weights."""
        stem = STAGE_WIDTHS[0]
        self.stem_relu = options.stem_relu
        self.stem_padding = 1 if options.stem_pool == "padded" else 0
        self.gradient_checkpointing = options.gradient_checkpointing
        self.conv1 = layers.conv(3, stem, 7, stride=2)
        by_instance = variant.ibn[0] == "b"
        self.bn1 = layers.instance_norm(stem) if by_instance else layers.batch_norm(stem)
        blocks = dataclasses.replace(variant.options, stride_in_1x1=options.stride_in_1x1)
        stage = functools.partial(_stage, dataclasses.replace(variant, options=blocks), layers)
        one, two, three, four = (width * variant.block.expansion for width in STAGE_WIDTHS)
        self.layer1 = stage(0, stem, 1)
        self.layer2 = stage(1, one, 2)
        self.layer3 = stage(2, two, 2)
        self.layer4 = stage(3, three, options.last_stride)
        self.width = four

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the feature map, in the dtype of the images."""
        features = self.conv1(images)
        if isinstance(self.bn1, InstanceNorm):
            features = self.bn1(features)
        else:
            features = self.bn1(features, train)
        if self.stem_relu:
            features = jax.nn.relu(features)
        features = max_pool_3x3(features, self.stem_padding)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = run_blocks(stage, features, train, self.gradient_checkpointing)
        return FeatureMap(features)


def _stage(
    variant: ResNetVariant, layers: LayerFactory, index: int, inputs: int, stride: int
) -> ModuleList:
    """Make a run of blocks, the first of which has the stride and changes the width."""
    width, count, ibn = STAGE_WIDTHS[index], variant.blocks[index], variant.ibn[index]
    outputs = width * variant.block.expansion
    blocks = []
    for number in range(count):
        last = number == count - 1
        blocks.append(
            variant.block(
                inputs if number == 0 else outputs,
                width,
                stride if number == 0 else 1,
                None if ibn == "b" and not last else ibn,
                variant.options,
                layers,
            )
        )
    return ModuleList(blocks)


_RESNET = "1512.03385"
_IBN = "1807.09441"
_SE = "1709.01507"

_DEPTHS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "18": (BasicBlock, (2, 2, 2, 2)),
    "34": (BasicBlock, (3, 4, 6, 3)),
    "50": (Bottleneck, (3, 4, 6, 3)),
    "101": (Bottleneck, (3, 4, 23, 3)),
    "152": (Bottleneck, (3, 8, 36, 3)),
}
_IBN_A: tuple[IBN, IBN, IBN, IBN] = ("a", "a", "a", None)
_IBN_B: tuple[IBN, IBN, IBN, IBN] = ("b", "b", None, None)
_SQUEEZED = BlockOptions(squeeze_excitation=True)
_SQUEEZED_GROUPS = BlockOptions(squeeze_excitation=True, groups=32, group_width=4)


def _specs() -> dict[str, BackboneSpec]:
    variants = {
        f"resnet{depth}": (_RESNET, ResNetVariant(*shape)) for depth, shape in _DEPTHS.items()
    }
    for depth in ("18", "34", "50", "101"):
        name = f"resnet{depth}_ibn_a"
        variants[name] = (_IBN, ResNetVariant(*_DEPTHS[depth], ibn=_IBN_A))
    for depth in ("50", "101"):
        name = f"resnet{depth}_ibn_b"
        variants[name] = (_IBN, ResNetVariant(*_DEPTHS[depth], ibn=_IBN_B))
    for title, options, depths in (
        ("se_resnet{}", _SQUEEZED, ("50", "101", "152")),
        ("se_resnext{}_32x4d", _SQUEEZED_GROUPS, ("50", "101")),
    ):
        for depth in depths:
            variant = ResNetVariant(*_DEPTHS[depth], options=options)
            variants[title.format(depth)] = (_SE, variant)
    return {
        name: BackboneSpec(ResNet, variant, paper) for name, (paper, variant) in variants.items()
    }


SPECS = _specs()
