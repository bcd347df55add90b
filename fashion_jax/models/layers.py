"""Convolutions and matrix products with explicit state: parameters as `nnx.Param`.

Every layer computes in the dtype of its input; parameters are cast to it. Normalisations are in
`norms.py`.
"""

import math

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.convolution import convolution
from fashion_jax.models.depthwise import Padding
from fashion_jax.models.initializers import normal


class Conv2d(nnx.Module):
    """A convolution; its kernel is [rows, columns, inputs / groups, outputs].

    Attributes:
        stride: stride of both axes.
        groups: number of runs of input channels, each seen by as many of the outputs; as many as
            channels for a depthwise convolution.
        padding: kind of padding, see `explicit_padding`.
        bias: learned, starts at 0; `None` for a convolution without bias.
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
        # Keeps the size of gradients through a ReLU (He et al. 2015, arXiv:1502.01852,
        # equation 14), as PyTorch's ResNets start.
        std = math.sqrt(2.0 / (kernel_size**2 * outputs // groups))
        self.kernel = nnx.Param(normal(rngs.params(), shape, std, param_dtype))
        self.bias = nnx.Param(jnp.zeros(outputs, param_dtype)) if use_bias else None
        self.stride = stride
        self.groups = groups
        self.padding = padding

    def __call__(
        self, images: Float[Array, "batch height width inputs"]
    ) -> Float[Array, "batch height2 width2 outputs"]:
        """Return the convolved images."""
        kernel = self.kernel[...].astype(images.dtype)
        _, height, width, _ = images.shape
        padding = explicit_padding(self.padding, (height, width), kernel.shape[0], self.stride)
        outputs = convolution(images, kernel, self.stride, padding, self.groups)
        return _add_bias(outputs, self.bias)


class Linear(nnx.Module):
    """A matrix product; its kernel is [inputs, outputs].

    Attributes:
        bias: learned, starts at 0; `None` for a product without bias.
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
        """Return `features @ kernel + bias`."""
        return _add_bias(features @ self.kernel[...].astype(features.dtype), self.bias)


def explicit_padding(kind: str, sides: tuple[int, int], kernel_size: int, stride: int) -> Padding:
    """Return the pixels of zeros that a convolution adds on each side.

    Args:
        kind: `half` for half a kernel on every side (PyTorch's usual padding), `same` for
            TensorFlow's `SAME`, whose odd pixel goes below and to the right, or `none`.
        sides: height and width of the image.
        kernel_size: side of the kernel.
        stride: stride of the convolution.

    Raises:
        ValueError: for another kind.
    """
    if kind == "same":
        height, width = (
            max((-(-side // stride) - 1) * stride + kernel_size - side, 0) for side in sides
        )
        return (height // 2, height - height // 2), (width // 2, width - width // 2)
    if kind not in ("half", "none"):
        raise ValueError(f"padding of a convolution is {kind!r}; choose 'half', 'same' or 'none'")
    pair = (kernel_size // 2, kernel_size // 2) if kind == "half" else (0, 0)
    return pair, pair


def _add_bias(outputs: Array, bias: nnx.Param | None) -> Array:
    if bias is None:
        return outputs
    return outputs + bias[...].astype(outputs.dtype).reshape((1,) * (outputs.ndim - 1) + (-1,))
