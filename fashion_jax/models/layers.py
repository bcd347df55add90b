"""Convolutions and matrix products with explicit state: parameters as `nnx.Param`.

Every layer computes in the dtype of its input; parameters are cast to it. Normalisations are in
`norms.py`.
"""

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.convolution import convolution, depthwise_convolution
from fashion_jax.models.initializers import kaiming_std, normal
from fashion_jax.models.padding import Padding, same_padding, symmetric_padding


class Conv2d(nnx.Module):
    """A convolution; its kernel is [rows, columns, inputs / groups, outputs].

    Attributes:
        stride: of both axes.
        groups: runs of input channels, each seen by as many of the outputs.
        padding: `half` a kernel on every side, `same` as TensorFlow pads, or `none`.
        bias: starts at 0; `None` where there is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel_size: int,
        *,
        rngs: nnx.Rngs,
        stride: int = 1,
        groups: int = 1,
        padding: str = "half",
        use_bias: bool = False,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        shape = (kernel_size, kernel_size, inputs // groups, outputs)
        std = kaiming_std(kernel_size**2 * outputs // groups)
        self.kernel = nnx.Param(normal(rngs.params(), shape, std, param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype)) if use_bias else None
        self.stride = stride
        self.groups = groups
        self.padding = padding

    def __call__(
        self, images: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Returns the convolved photos."""
        kernel = self.kernel[...].astype(images.dtype)
        padding = _padding(images, kernel, self.stride, self.padding)
        outputs = convolution(images, kernel, self.stride, padding, self.groups)
        return _add_bias(outputs, self.bias)


class DepthwiseConv2d(nnx.Module):
    """One kernel per channel, without bias; the kernel is [rows, columns, 1, channels].

    Attributes:
        stride: of both axes.
        padding: `half` a kernel on every side, or `same` as TensorFlow pads.
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        *,
        rngs: nnx.Rngs,
        stride: int = 1,
        padding: str = "half",
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        shape = (kernel_size, kernel_size, 1, channels)
        std = kaiming_std(kernel_size**2)
        self.kernel = nnx.Param(normal(rngs.params(), shape, std, param_dtype))
        self.stride = stride
        self.padding = padding

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height2 width2 channels"]:
        """Returns the convolved photos."""
        kernel = self.kernel[...].astype(images.dtype)
        padding = _padding(images, kernel, self.stride, self.padding)
        return depthwise_convolution(images, kernel, self.stride, padding)


class Linear(nnx.Module):
    """A matrix product; its kernel is [inputs, outputs].

    Attributes:
        bias: starts at 0; `None` where there is none.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        rngs: nnx.Rngs,
        std: float,
        use_bias: bool = False,
        param_dtype: DTypeLike = jnp.float32,
    ) -> None:
        self.kernel = nnx.Param(normal(rngs.params(), (inputs, outputs), std, param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype)) if use_bias else None

    def __call__(
        self, features: Float[Array, "*positions inputs"]
    ) -> Float[Array, "*positions outputs"]:
        """Returns `features @ kernel + bias`."""
        return _add_bias(features @ self.kernel[...].astype(features.dtype), self.bias)


def _add_bias(outputs: Array, bias: nnx.Param | None) -> Array:
    if bias is None:
        return outputs
    return outputs + bias[...].astype(outputs.dtype).reshape((1,) * (outputs.ndim - 1) + (-1,))


def _padding(images: Array, kernel: Array, stride: int, padding: str) -> Padding:
    if padding == "none":
        return (0, 0), (0, 0)
    if padding == "same":
        return same_padding(images.shape[1], images.shape[2], kernel.shape[0], stride)
    return symmetric_padding(kernel.shape[0])
