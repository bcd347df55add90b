"""ResNet (He et al. 2015, arXiv:1512.03385), with the layer names of torchvision."""

import functools
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.layers import BatchNorm, Conv2d
from fashion_jax.models.pooling import max_pool_3x3

STAGE_WIDTHS = (64, 128, 256, 512)


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self, inputs: int, width: int, stride: int, rngs: nnx.Rngs, param_dtype: DTypeLike
    ) -> None:
        self.conv1 = Conv2d(inputs, width, 3, stride=stride, rngs=rngs, param_dtype=param_dtype)
        self.bn1 = BatchNorm(width, param_dtype=param_dtype)
        self.conv2 = Conv2d(width, width, 3, rngs=rngs, param_dtype=param_dtype)
        self.bn2 = BatchNorm(width, param_dtype=param_dtype)
        self.downsample = _downsample(inputs, width, stride, rngs, param_dtype)

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

    def __init__(
        self, inputs: int, width: int, stride: int, rngs: nnx.Rngs, param_dtype: DTypeLike
    ) -> None:
        outputs = width * self.expansion
        self.conv1 = Conv2d(inputs, width, 1, rngs=rngs, param_dtype=param_dtype)
        self.bn1 = BatchNorm(width, param_dtype=param_dtype)
        self.conv2 = Conv2d(width, width, 3, stride=stride, rngs=rngs, param_dtype=param_dtype)
        self.bn2 = BatchNorm(width, param_dtype=param_dtype)
        self.conv3 = Conv2d(width, outputs, 1, rngs=rngs, param_dtype=param_dtype)
        self.bn3 = BatchNorm(outputs, param_dtype=param_dtype)
        self.downsample = _downsample(inputs, outputs, stride, rngs, param_dtype)

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the block's features."""
        hidden = jax.nn.relu(self.bn1(self.conv1(inputs), train))
        hidden = jax.nn.relu(self.bn2(self.conv2(hidden), train))
        hidden = self.bn3(self.conv3(hidden), train)
        return jax.nn.relu(hidden + _shortcut(self.downsample, inputs, train))


Block = type[BasicBlock] | type[Bottleneck]


def _downsample(
    inputs: int, outputs: int, stride: int, rngs: nnx.Rngs, param_dtype: DTypeLike
) -> nnx.List | None:
    if stride == 1 and inputs == outputs:
        return None
    conv = Conv2d(inputs, outputs, 1, stride=stride, rngs=rngs, param_dtype=param_dtype)
    return nnx.List([conv, BatchNorm(outputs, param_dtype=param_dtype)])


def _shortcut(downsample: nnx.List | None, inputs: Array, train: bool) -> Array:
    if downsample is None:
        return inputs
    conv, norm = downsample
    return norm(conv(inputs), train)


def _stage(
    block: Block,
    inputs: int,
    width: int,
    count: int,
    stride: int,
    *,
    rngs: nnx.Rngs,
    param_dtype: DTypeLike,
) -> nnx.List:
    """A run of blocks; the first of them has the stride and changes the width."""
    first = block(inputs, width, stride, rngs, param_dtype)
    outputs = width * block.expansion
    rest = (block(outputs, width, 1, rngs, param_dtype) for _ in range(count - 1))
    return nnx.List([first, *rest])


class ResNet(nnx.Module):
    """The network up to its last feature map.

    Attributes:
        width: channels of the feature map.
    """

    def __init__(
        self,
        block: Block,
        blocks_per_stage: Sequence[int],
        *,
        last_stride: Literal[1, 2],
        stem_relu: bool,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Makes the network with fresh weights.

        Args:
            block: kind of block.
            blocks_per_stage: of the four stages.
            last_stride: of the last stage.
            stem_relu: whether there is a ReLU after the first convolution.
            rngs: for the initial weights.
            param_dtype: of parameters and statistics.
        """
        self.stem_relu = stem_relu
        self.conv1 = Conv2d(3, STAGE_WIDTHS[0], 7, stride=2, rngs=rngs, param_dtype=param_dtype)
        self.bn1 = BatchNorm(STAGE_WIDTHS[0], param_dtype=param_dtype)
        stage = functools.partial(_stage, block, rngs=rngs, param_dtype=param_dtype)
        one, two, three, four = (width * block.expansion for width in STAGE_WIDTHS)
        self.layer1 = stage(STAGE_WIDTHS[0], STAGE_WIDTHS[0], blocks_per_stage[0], 1)
        self.layer2 = stage(one, STAGE_WIDTHS[1], blocks_per_stage[1], 2)
        self.layer3 = stage(two, STAGE_WIDTHS[2], blocks_per_stage[2], 2)
        self.layer4 = stage(three, STAGE_WIDTHS[3], blocks_per_stage[3], last_stride)
        self.width = four

    def __call__(
        self, images: Float[Array, "batch height width 3"], train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Returns the feature map, in the dtype of the photos."""
        features = self.bn1(self.conv1(images), train)
        if self.stem_relu:
            features = jax.nn.relu(features)
        features = max_pool_3x3(features)
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                features = block(features, train)
        return features
