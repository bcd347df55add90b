"""Blocks of OSNet (Zhou et al. 2019, arXiv:1905.00953) and OSNet-AIN (arXiv:1910.06827).

Layers have the names of deep-person-reid, which names the streams of OSNet's blocks
`conv2a` ... `conv2d` and those of OSNet-AIN's `conv2.0` ... `conv2.3`.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from fashion_jax.models.accumulation import accumulation_dtype
from fashion_jax.models.layer_factory import LayerFactory

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
        self.layers = nnx.List([LightConv3x3(channels, layers) for _ in range(depth)])

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
            nnx.List([LightConv3x3(middle, layers) for _ in range(depth)])
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
        self.conv2 = nnx.List(
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


def _run(convolutions: nnx.List, features: Array, train: bool) -> Array:
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
