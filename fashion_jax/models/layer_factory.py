"""Makes the layers of one network, which share dtype, random numbers and BatchNorm groups."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from fashion_jax.models.initializers import normal
from fashion_jax.models.layers import Conv2d, DepthwiseConv2d, Linear
from fashion_jax.models.norms import BatchNorm, InstanceNorm, LayerNorm


@dataclasses.dataclass(frozen=True)
class LayerFactory:
    """What all layers of a network have in common.

    Attributes:
        rngs: for the initial weights; its stream `params` is used.
        param_dtype: of parameters and statistics.
        batch_norm_group: photos that a BatchNorm normalises together; 0 for the whole batch.
    """

    rngs: nnx.Rngs
    param_dtype: DTypeLike = jnp.float32
    batch_norm_group: int = 0

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
        """See `Conv2d`."""
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

    def depthwise(
        self, channels: int, kernel_size: int, *, stride: int = 1, padding: str = "half"
    ) -> DepthwiseConv2d:
        """See `DepthwiseConv2d`."""
        return DepthwiseConv2d(
            channels,
            kernel_size,
            stride=stride,
            padding=padding,
            rngs=self.rngs,
            param_dtype=self.param_dtype,
        )

    def linear(self, inputs: int, outputs: int, *, std: float, bias: bool = False) -> Linear:
        """See `Linear`."""
        return Linear(
            inputs, outputs, std=std, use_bias=bias, rngs=self.rngs, param_dtype=self.param_dtype
        )

    def parameter(self, shape: Sequence[int], *, std: float) -> nnx.Param:
        """Returns a parameter that is no layer's, drawn from N(0, std²)."""
        return nnx.Param(normal(self.rngs.params(), shape, std, self.param_dtype))

    def batch_norm(self, channels: int, *, epsilon: float = 1e-5, bias: bool = True) -> BatchNorm:
        """See `BatchNorm`."""
        return BatchNorm(
            channels,
            epsilon=epsilon,
            use_bias=bias,
            group=self.batch_norm_group,
            param_dtype=self.param_dtype,
        )

    def instance_norm(self, channels: int, *, epsilon: float = 1e-5) -> InstanceNorm:
        """See `InstanceNorm`."""
        return InstanceNorm(channels, epsilon=epsilon, param_dtype=self.param_dtype)

    def layer_norm(self, channels: int, *, epsilon: float) -> LayerNorm:
        """See `LayerNorm`."""
        return LayerNorm(channels, epsilon=epsilon, param_dtype=self.param_dtype)
