"""ResNet (He et al. 2015, arXiv:1512.03385), with the layer names of torchvision."""

import dataclasses
import functools

import jax
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    BackboneSpec,
    FeatureMap,
)
from fashion_jax.models.gradient_checkpointing import run_block
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.max_pool import max_pool_3x3

STAGE_WIDTHS = (64, 128, 256, 512)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, layers: LayerFactory) -> None:
        self.conv1 = layers.conv(inputs, width, 3, stride=stride)
        self.bn1 = layers.batch_norm(width)
        self.conv2 = layers.conv(width, width, 3)
        self.bn2 = layers.batch_norm(width)
        self.downsample = _downsample(inputs, width, stride, layers)

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the block's features."""
        hidden = jax.nn.relu(self.bn1(self.conv1(inputs), train))
        hidden = self.bn2(self.conv2(hidden), train)
        return jax.nn.relu(hidden + _shortcut(self.downsample, inputs, train))


class Bottleneck(nnx.Module):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; the 3x3 has the stride (torchvision, v1.5)."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, layers: LayerFactory) -> None:
        outputs = width * self.expansion
        self.conv1 = layers.conv(inputs, width, 1)
        self.bn1 = layers.batch_norm(width)
        self.conv2 = layers.conv(width, width, 3, stride=stride)
        self.bn2 = layers.batch_norm(width)
        self.conv3 = layers.conv(width, outputs, 1)
        self.bn3 = layers.batch_norm(outputs)
        self.downsample = _downsample(inputs, outputs, stride, layers)

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the block's features."""
        hidden = jax.nn.relu(self.bn1(self.conv1(inputs), train))
        hidden = jax.nn.relu(self.bn2(self.conv2(hidden), train))
        hidden = self.bn3(self.conv3(hidden), train)
        return jax.nn.relu(hidden + _shortcut(self.downsample, inputs, train))


Block = type[BasicBlock] | type[Bottleneck]


def _downsample(inputs: int, outputs: int, stride: int, layers: LayerFactory) -> nnx.List | None:
    if stride == 1 and inputs == outputs:
        return None
    conv = layers.conv(inputs, outputs, 1, stride=stride)
    return nnx.List([conv, layers.batch_norm(outputs)])


def _shortcut(downsample: nnx.List | None, inputs: Array, train: bool) -> Array:
    if downsample is None:
        return inputs
    conv, norm = downsample
    return norm(conv(inputs), train)


@dataclasses.dataclass(frozen=True)
class ResNetVariant:
    """What distinguishes one ResNet from another.

    Attributes:
        block: kind of block.
        blocks: in each of the four stages.
    """

    block: Block
    blocks: tuple[int, int, int, int]


class ResNet(Backbone):
    """The network up to its last feature map.

    Attributes:
        width: channels of the feature map.
    """

    def __init__(
        self, variant: ResNetVariant, layers: LayerFactory, options: BackboneOptions
    ) -> None:
        """Makes the network with fresh weights."""
        self.stem_relu = options.stem_relu
        self.gradient_checkpointing = options.gradient_checkpointing
        self.conv1 = layers.conv(3, STAGE_WIDTHS[0], 7, stride=2)
        self.bn1 = layers.batch_norm(STAGE_WIDTHS[0])
        stage = functools.partial(_stage, variant.block, layers)
        one, two, three, four = (width * variant.block.expansion for width in STAGE_WIDTHS)
        self.layer1 = stage(STAGE_WIDTHS[0], STAGE_WIDTHS[0], variant.blocks[0], 1)
        self.layer2 = stage(one, STAGE_WIDTHS[1], variant.blocks[1], 2)
        self.layer3 = stage(two, STAGE_WIDTHS[2], variant.blocks[2], 2)
        self.layer4 = stage(three, STAGE_WIDTHS[3], variant.blocks[3], options.last_stride)
        self.width = four

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Returns the feature map, in the dtype of the photos."""
        features = self.bn1(self.conv1(images), train)
        if self.stem_relu:
            features = jax.nn.relu(features)
        features = max_pool_3x3(features)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                features = run_block(block, features, train, self.gradient_checkpointing)
        return FeatureMap(features)


def _stage(
    block: Block, layers: LayerFactory, inputs: int, width: int, count: int, stride: int
) -> nnx.List:
    """A run of blocks; the first of them has the stride and changes the width."""
    first = block(inputs, width, stride, layers)
    outputs = width * block.expansion
    return nnx.List([first, *(block(outputs, width, 1, layers) for _ in range(count - 1))])


def _spec(block: Block, blocks: tuple[int, int, int, int]) -> BackboneSpec:
    return BackboneSpec(ResNet, ResNetVariant(block, blocks), "arXiv:1512.03385")


SPECS = {
    "resnet18": _spec(BasicBlock, (2, 2, 2, 2)),
    "resnet50": _spec(Bottleneck, (3, 4, 6, 3)),
}
