"""Layers of one network, which share dtype, random numbers and ghost batches."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from fashion_jax.models.layers import Conv2d, Linear
from fashion_jax.models.norms import BatchNorm, InstanceNorm, LayerNorm
from fashion_jax.models.numerics import initial_weights


@dataclasses.dataclass(frozen=True)
class LayerFactory:
    """Maker of a network's layers.

    Attributes:
        rngs: random streams for the initial weights, of which `params` is used.
        param_dtype: dtype of parameters and statistics.
        ghost_batch_size: number of images that a BatchNorm normalises together; 0 for the whole
            batch.
    """

    rngs: nnx.Rngs
    param_dtype: DTypeLike = jnp.float32
    ghost_batch_size: int = 0

    def conv(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        padding: str = "half",
        bias: bool = False,
    ) -> Conv2d:
        """Make a `Conv2d`."""
        return Conv2d(
            inputs,
            outputs,
            kernel_size,
            stride=stride,
            groups=groups,
            padding=padding,
            use_bias=bias,
            rngs=self.rngs,
            param_dtype=self.param_dtype,
        )

    def linear(self, inputs: int, outputs: int, *, std: float, bias: bool = False) -> Linear:
        """Make a `Linear`, its kernel drawn from N(0, std²)."""
        return Linear(
            inputs, outputs, std=std, use_bias=bias, rngs=self.rngs, param_dtype=self.param_dtype
        )

    def parameter(self, shape: Sequence[int], *, std: float) -> nnx.Param:
        """Make a parameter outside of any layer, drawn from N(0, std²)."""
        return nnx.Param(initial_weights(self.rngs, shape, std, self.param_dtype))

    def batch_norm(self, channels: int, *, epsilon: float = 1e-5, bias: bool = True) -> BatchNorm:
        """Make a `BatchNorm`."""
        return BatchNorm(
            channels,
            epsilon=epsilon,
            use_bias=bias,
            ghost_batch_size=self.ghost_batch_size,
            param_dtype=self.param_dtype,
        )

    def instance_norm(self, channels: int, *, epsilon: float = 1e-5) -> InstanceNorm:
        """Make an `InstanceNorm`."""
        return InstanceNorm(channels, epsilon=epsilon, param_dtype=self.param_dtype)

    def layer_norm(self, channels: int, *, epsilon: float) -> LayerNorm:
        """Make a `LayerNorm`."""
        return LayerNorm(channels, epsilon=epsilon, param_dtype=self.param_dtype)
