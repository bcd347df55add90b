"""OSNet (Zhou et al. 2019, arXiv:1905.00953), OSNet-IBN and OSNet-AIN (arXiv:1910.06827).

The network up to its last feature map. The layers after it in deep-person-reid (`fc`: a linear
layer of 512, BatchNorm and ReLU) are the neck `linear_bn_relu` here.

Layers have the names of deep-person-reid, which names the streams of OSNet's blocks
`conv2a` ... `conv2d` and those of OSNet-AIN's `conv2.0` ... `conv2.3`.
"""

import dataclasses

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

STREAMS = 4
BOTTLENECK_REDUCTION = 4
GATE_REDUCTION = 16


class ConvNorm(nnx.Module):
    """A 1x1 convolution, then optionally a BatchNorm and a ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        layers: LayerFactory,
        *,
        relu: bool = True,
        norm: bool = True,
    ) -> None:
        self.conv = layers.conv(inputs, outputs, 1)
        self.bn = layers.batch_norm(outputs) if norm else None
        self.relu = relu

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height width outputs"]:
        """Return the features."""
        outputs = self.conv(inputs)
        if self.bn is not None:
            outputs = self.bn(outputs, train)
        return jax.nn.relu(outputs) if self.relu else outputs


class LightConv3x3(nnx.Module):
    """A 1x1 convolution, a depthwise 3x3 one, BatchNorm and ReLU (figure 3b)."""

    def __init__(self, channels: int, layers: LayerFactory) -> None:
        self.conv1 = layers.conv(channels, channels, 1)
        self.conv2 = layers.conv(channels, channels, 3, groups=channels)
        self.bn = layers.batch_norm(channels)

    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Return the features."""
        return jax.nn.relu(self.bn(self.conv2(self.conv1(inputs)), train))


class LightConvStream(nnx.Module):
    """A chain of light convolutions, as many as the stream's scale."""

    def __init__(self, channels: int, depth: int, layers: LayerFactory) -> None:
        self.layers = ModuleList([LightConv3x3(channels, layers) for _ in range(depth)])

    def __call__(
        self, inputs: Float[Array, "batch height width channels"], train: bool
    ) -> Float[Array, "batch height width channels"]:
        """Return the features."""
        return _run(self.layers, inputs, train)


class ChannelGate(nnx.Module):
    """Weights for each channel, computed from the means of all channels (equation 3)."""

    def __init__(self, channels: int, layers: LayerFactory) -> None:
        reduced = channels // GATE_REDUCTION
        self.fc1 = layers.conv(channels, reduced, 1, bias=True)
        self.fc2 = layers.conv(reduced, channels, 1, bias=True)

    def __call__(
        self, inputs: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Return the weighted features."""
        wide = inputs.astype(accumulation_dtype(inputs.dtype))
        means = jnp.mean(wide, (1, 2), keepdims=True).astype(inputs.dtype)
        return inputs * jax.nn.sigmoid(self.fc2(jax.nn.relu(self.fc1(means))))


class OSBlock(nnx.Module):
    """Omni-scale block: streams of one to four light convolutions that share a gate (figure 4).

    With `instance_norm` the sum with the shortcut is normalised by instance (OSNet-IBN).
    """

    def __init__(
        self, inputs: int, outputs: int, instance_norm: bool, layers: LayerFactory
    ) -> None:
        middle = outputs // BOTTLENECK_REDUCTION
        self.conv1 = ConvNorm(inputs, middle, layers)
        self.conv2a = LightConv3x3(middle, layers)
        self.conv2b, self.conv2c, self.conv2d = (
            ModuleList([LightConv3x3(middle, layers) for _ in range(depth)])
            for depth in range(2, STREAMS + 1)
        )
        self.gate = ChannelGate(middle, layers)
        self.conv3 = ConvNorm(middle, outputs, layers, relu=False)
        self.downsample = _downsample(inputs, outputs, layers)
        self.IN = layers.instance_norm(outputs) if instance_norm else None

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height width outputs"]:
        """Return the block's features."""
        hidden = self.conv1(inputs, train)
        streams = [self.conv2a(hidden, train)]
        streams += [
            _run(stream, hidden, train) for stream in (self.conv2b, self.conv2c, self.conv2d)
        ]
        outputs = self.conv3(_gated_sum(self.gate, streams), train)
        outputs = outputs + _shortcut(self.downsample, inputs, train)
        if self.IN is not None:
            outputs = self.IN(outputs)
        return jax.nn.relu(outputs)


class AINBlock(nnx.Module):
    """Block of OSNet-AIN: `instance_norm` replaces the last BatchNorm of the residual branch."""

    def __init__(
        self, inputs: int, outputs: int, instance_norm: bool, layers: LayerFactory
    ) -> None:
        middle = outputs // BOTTLENECK_REDUCTION
        self.conv1 = ConvNorm(inputs, middle, layers)
        self.conv2 = ModuleList(
            [LightConvStream(middle, depth, layers) for depth in range(1, STREAMS + 1)]
        )
        self.gate = ChannelGate(middle, layers)
        self.conv3 = ConvNorm(middle, outputs, layers, relu=False, norm=not instance_norm)
        self.downsample = _downsample(inputs, outputs, layers)
        self.IN = layers.instance_norm(outputs) if instance_norm else None

    def __call__(
        self, inputs: Float[Array, "batch height width inputs"], train: bool
    ) -> Float[Array, "batch height width outputs"]:
        """Return the block's features."""
        hidden = self.conv1(inputs, train)
        streams = [stream(hidden, train) for stream in self.conv2]
        outputs = self.conv3(_gated_sum(self.gate, streams), train)
        if self.IN is not None:
            outputs = self.IN(outputs)
        return jax.nn.relu(outputs + _shortcut(self.downsample, inputs, train))


def _run(convolutions: ModuleList, features: Array, train: bool) -> Array:
    for convolution in convolutions:
        features = convolution(features, train)
    return features


def _gated_sum(gate: ChannelGate, streams: list[Array]) -> Array:
    total = gate(streams[0])
    for stream in streams[1:]:
        total = total + gate(stream)
    return total


def _downsample(inputs: int, outputs: int, layers: LayerFactory) -> ConvNorm | None:
    return None if inputs == outputs else ConvNorm(inputs, outputs, layers, relu=False)


def _shortcut(downsample: ConvNorm | None, inputs: Array, train: bool) -> Array:
    return inputs if downsample is None else downsample(inputs, train)


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

    The options of strides and stem have no effect: a side of the map is a
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
        transitions = [ModuleList([ConvNorm(width, width, layers)]) for width in widths[:2]]
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

    def _stages(self) -> list[tuple[list[nnx.Module], ModuleList | None]]:
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
) -> ModuleList:
    return ModuleList(
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
