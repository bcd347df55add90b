"""Layers with explicit state: parameters as `nnx.Param`, running statistics as `nnx.BatchStat`.

Every layer computes in the dtype of its input; parameters are cast to it.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.convolution import convolution, depthwise_convolution
from fashion_jax.models.dtypes import at_least_float32
from fashion_jax.models.initial import kaiming_std, normal
from fashion_jax.models.padding import Padding, same_padding, symmetric_padding


class Conv2d(nnx.Module):
    """A convolution without bias; its kernel is [rows, columns, inputs, outputs].

    Attributes:
        stride: of both axes.
        same: pad like TensorFlow's `SAME` instead of by half a kernel on every side.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        rngs: nnx.Rngs,
        stride: int = 1,
        same: bool = False,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        shape = (kernel_size, kernel_size, inputs, outputs)
        std = kaiming_std(kernel_size**2 * outputs)
        self.kernel = nnx.Param(normal(rngs.params(), shape, std, param_dtype))
        self.stride = stride
        self.same = same

    def __call__(
        self, images: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the convolved photos."""
        kernel = self.kernel[...].astype(images.dtype)
        padding = _padding(images, kernel, self.stride, self.same)
        return convolution(images, kernel, self.stride, padding)


class DepthwiseConv2d(nnx.Module):
    """One kernel per channel, without bias; the kernel is [rows, columns, 1, channels].

    Attributes:
        stride: of both axes.
        same: pad like TensorFlow's `SAME` instead of by half a kernel on every side.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        rngs: nnx.Rngs,
        stride: int = 1,
        same: bool = False,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        shape = (kernel_size, kernel_size, 1, channels)
        std = kaiming_std(kernel_size**2)
        self.kernel = nnx.Param(normal(rngs.params(), shape, std, param_dtype))
        self.stride = stride
        self.same = same

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 channels"]:
        """Returns the convolved photos."""
        kernel = self.kernel[...].astype(images.dtype)
        padding = _padding(images, kernel, self.stride, self.same)
        return depthwise_convolution(images, kernel, self.stride, padding)


def _padding(images: Array, kernel: Array, stride: int, same: bool) -> Padding:
    if same:
        return same_padding(images.shape[1], images.shape[2], kernel.shape[0], stride)
    return symmetric_padding(kernel.shape[0])


class Linear(nnx.Module):
    """A matrix product without bias; its kernel is [inputs, outputs]."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rngs: nnx.Rngs,
        std: float,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.kernel = nnx.Param(normal(rngs.params(), (inputs, outputs), std, param_dtype))

    def __call__(self, features: Float[Array, "batch inputs"]) -> Float[Array, "batch outputs"]:
        """Returns `features @ kernel`."""
        return features @ self.kernel[...].astype(features.dtype)


class BatchNorm(nnx.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy 2015, arXiv:1502.03167).

    As PyTorch does it: the batch is normalised with its biased variance, the running variance
    is the unbiased one, and running = (1 - momentum) * running + momentum * batch. Statistics
    are computed in at least float32 whatever the dtype of the input. Under `jax.jit` with the
    batch sharded over devices they are those of the global batch.

    Attributes:
        scale: learned, starts at 1.
        bias: learned, starts at 0; `None` where it is frozen at 0.
        mean: running mean.
        var: running variance.
    """

    def __init__(
        self,
        channels: int,
        *,
        epsilon: float = 1e-5,
        momentum: float = 0.1,
        use_bias: bool = True,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype)) if use_bias else None
        self.mean = nnx.BatchStat(jnp.zeros(channels, param_dtype))
        self.var = nnx.BatchStat(jnp.ones(channels, param_dtype))
        self.epsilon = epsilon
        self.momentum = momentum

    def __call__(
        self, inputs: Float[Array, "*positions channels"], train: bool
    ) -> Float[Array, "*positions channels"]:
        """Normalises with the batch's statistics (and updates the running ones) or the running.

        Args:
            inputs: any number of leading axes, at least one.
            train: whether to use the batch's own statistics.
        """
        compute = at_least_float32(inputs.dtype)
        if train:
            mean, var = _moments(inputs.astype(compute))
            self._update(mean, var, inputs.size // inputs.shape[-1])
        else:
            mean, var = self.mean[...].astype(compute), self.var[...].astype(compute)
        factor = self.scale[...].astype(compute) * jax.lax.rsqrt(var + self.epsilon)
        offset = -mean * factor
        if self.bias is not None:
            offset = offset + self.bias[...].astype(compute)
        broadcast = (1,) * (inputs.ndim - 1) + (-1,)
        outputs = inputs.astype(compute) * factor.reshape(broadcast) + offset.reshape(broadcast)
        return outputs.astype(inputs.dtype)

    def _update(self, mean: Array, var: Array, count: int) -> None:
        unbiased = var * (count / max(count - 1, 1))
        for running, batch in ((self.mean, mean), (self.var, unbiased)):
            fresh = jax.lax.stop_gradient(batch).astype(running.dtype)
            running[...] = (1 - self.momentum) * running[...] + self.momentum * fresh


def _moments(inputs: Array) -> tuple[Array, Array]:
    axes = tuple(range(inputs.ndim - 1))
    mean = jnp.mean(inputs, axes)
    centered = inputs - mean.reshape((1,) * len(axes) + (-1,))
    return mean, jnp.mean(jnp.square(centered), axes)
