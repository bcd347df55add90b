"""OSNet (Zhou et al. 2019, arXiv:1905.00953), OSNet-IBN and OSNet-AIN (arXiv:1910.06827).

The network up to its last feature map. The layers after it in deep-person-reid (`fc`: a linear
layer of 512, BatchNorm and ReLU) are the neck `linear_bn_relu` here.
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.backbones.osnet_blocks import AINBlock, ConvNorm, OSBlock
from fashion_jax.models.backbones.spec import (
    Backbone,
    BackboneOptions,
    BackboneSpec,
    FeatureMap,
)
from fashion_jax.models.gradient_checkpointing import run_blocks
from fashion_jax.models.layer_factory import LayerFactory
from fashion_jax.models.max_pool import max_pool_3x3
from fashion_jax.models.norms import InstanceNorm

# For each of a stage's two blocks, whether it normalises by instance.
Stages = tuple[tuple[bool, ...], tuple[bool, ...], tuple[bool, ...]]
_NOWHERE: Stages = ((False, False), (False, False), (False, False))


@dataclasses.dataclass(frozen=True)
class OSNetVariant:
    """Size and blocks of one OSNet.

    Attributes:
        widths: number of channels of stem and stages.
        blocks: for each block of each stage, whether it normalises by instance.
        block: class of the blocks.
        stem_by_instance: whether the stem normalises by instance instead of by batch.
    """

    widths: tuple[int, int, int, int]
    blocks: Stages = _NOWHERE
    block: type[OSBlock] | type[AINBlock] = OSBlock
    stem_by_instance: bool = False


class Stem(nnx.Module):
    """A 7x7 convolution of stride 2, a normalisation and a ReLU."""

    def __init__(self, width: int, by_instance: bool, layers: LayerFactory) -> None:
        self.conv = layers.conv(3, width, 7, stride=2)
        self.bn = layers.instance_norm(width) if by_instance else layers.batch_norm(width)

    def __call__(
        self, images: Float[Array, "batch height width 3"], train: bool
    ) -> Float[Array, "batch height2 width2 channels"]:
        """Return the stem's features."""
        features = self.conv(images)
        if isinstance(self.bn, InstanceNorm):
            return jax.nn.relu(self.bn(features))
        return jax.nn.relu(self.bn(features, train))


class OSNet(Backbone):
    """OSNet and OSNet-IBN, or OSNet-AIN with `AINBlock`s.

    The options `last_stride`, `stem_relu` and `stem_pool` have no effect: a side of the map is a
    sixteenth of the image's, and the stem is as published.

    Attributes:
        width: number of channels of the feature map.
    """

    def __init__(
        self, variant: OSNetVariant, layers: LayerFactory, options: BackboneOptions
    ) -> None:
        """Make the network with initial weights."""
        self.gradient_checkpointing = options.gradient_checkpointing
        self.pools_apart = variant.block is AINBlock
        stem, *widths = variant.widths
        self.conv1 = Stem(stem, variant.stem_by_instance, layers)
        stages = []
        for inputs, outputs, by_instance in zip(
            variant.widths, widths, variant.blocks, strict=False
        ):
            stages.append(_stage(variant.block, inputs, outputs, by_instance, layers))
        self.conv2, self.conv3, self.conv4 = stages
        transitions = [nnx.List([ConvNorm(width, width, layers)]) for width in widths[:2]]
        if self.pools_apart:
            self.pool2, self.pool3 = transitions
        else:
            self.conv2.append(transitions[0])
            self.conv3.append(transitions[1])
        self.conv5 = ConvNorm(widths[-1], widths[-1], layers)
        self.width = widths[-1]

    def __call__(self, images: Float[Array, "batch height width 3"], train: bool) -> FeatureMap:
        """Return the feature map, in the dtype of the images."""
        features = max_pool_3x3(self.conv1(images, train))
        for blocks, transition in self._stages():
            features = run_blocks(blocks, features, train, self.gradient_checkpointing)
            if transition is not None:
                features = average_pool_2x2(transition[0](features, train))
        return FeatureMap(self.conv5(features, train))

    def _stages(self) -> list[tuple[list[nnx.Module], nnx.List | None]]:
        """List the blocks of each stage, and the convolution before the pooling after it."""
        if self.pools_apart:
            first, second = (list(self.conv2), self.pool2), (list(self.conv3), self.pool3)
        else:
            first = (list(self.conv2)[:-1], self.conv2[-1])
            second = (list(self.conv3)[:-1], self.conv3[-1])
        return [first, second, (list(self.conv4), None)]


def average_pool_2x2(
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Return the means of 2x2 windows, stride 2; an odd last row or column is left out."""
    height, width = images.shape[1] // 2, images.shape[2] // 2
    wide = images[:, : 2 * height, : 2 * width].astype(accumulation_dtype(images.dtype))
    windows = wide.reshape(-1, height, 2, width, 2, images.shape[-1])
    return jnp.mean(windows, (2, 4)).astype(images.dtype)


def _stage(
    block: type[OSBlock] | type[AINBlock],
    inputs: int,
    outputs: int,
    by_instance: tuple[bool, ...],
    layers: LayerFactory,
) -> nnx.List:
    return nnx.List(
        [
            block(inputs if number == 0 else outputs, outputs, instance_norm, layers)
            for number, instance_norm in enumerate(by_instance)
        ]
    )


_OSNET = "1905.00953"
_AIN = "1910.06827"
_AIN_BLOCKS: Stages = ((True, True), (False, True), (True, False))
_WIDTHS: dict[str, tuple[int, int, int, int]] = {
    "x1_0": (64, 256, 384, 512),
    "x0_75": (48, 192, 288, 384),
    "x0_5": (32, 128, 192, 256),
    "x0_25": (16, 64, 96, 128),
}


def _spec(variant: OSNetVariant, paper: str) -> BackboneSpec:
    return BackboneSpec(OSNet, variant, paper, input_size=(256, 128))


SPECS = {
    **{f"osnet_{name}": _spec(OSNetVariant(widths), _OSNET) for name, widths in _WIDTHS.items()},
    "osnet_ibn_x1_0": _spec(
        OSNetVariant(
            _WIDTHS["x1_0"],
            blocks=((True, True), (False, False), (False, False)),
            stem_by_instance=True,
        ),
        _AIN,
    ),
    **{
        f"osnet_ain_{name}": _spec(OSNetVariant(widths, _AIN_BLOCKS, AINBlock, True), _AIN)
        for name, widths in _WIDTHS.items()
    },
}
