"""Convolutions, in the form that each platform runs fast.

Photos are [batch, height, width, channels], kernels [height, width, in, out].
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def symmetric_padding(kernel_size: int) -> Padding:
    """Returns PyTorch's usual padding: `kernel_size // 2` on every side."""
    half = kernel_size // 2
    return (half, half), (half, half)


def same_padding(height: int, width: int, kernel_size: int, stride: int) -> Padding:
    """Returns TensorFlow's `SAME` padding, whose odd pixel goes below and to the right."""
    return _same_axis(height, kernel_size, stride), _same_axis(width, kernel_size, stride)


def _same_axis(size: int, kernel_size: int, stride: int) -> Pair:
    total = max((-(-size // stride) - 1) * stride + kernel_size - size, 0)
    return total // 2, total - total // 2


def convolution(
    images: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs outputs"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 outputs"]:
    """Returns the (cross-)correlation of photos and kernel."""
    if kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        return jax.lax.platform_dependent(
            images,
            kernel,
            cpu=lambda x, k: _pointwise(x, k, stride),
            default=lambda x, k: _convolve(x, k, stride, padding, 1),
        )
    return _convolve(images, kernel, stride, padding, 1)


def depthwise_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 channels"]:
    """Returns the correlation of each channel with a kernel of its own."""
    return jax.lax.platform_dependent(
        images,
        kernel,
        cpu=lambda x, k: _shifted_sum(x, k, stride, padding),
        default=lambda x, k: _convolve(x, k, stride, padding, x.shape[-1]),
    )


def _convolve(images: Array, kernel: Array, stride: int, padding: Padding, groups: int) -> Array:
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _pointwise(images: Array, kernel: Array, stride: int) -> Array:
    strided = images[:, ::stride, ::stride]
    return jnp.tensordot(strided, kernel[0, 0], axes=1)


def _shifted_sum(images: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    rows, columns = kernel.shape[:2]
    padded = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    total: Any = 0
    for row in range(rows):
        for column in range(columns):
            window = padded[
                :,
                row : row + (height - 1) * stride + 1 : stride,
                column : column + (width - 1) * stride + 1 : stride,
            ]
            total = total + window * kernel[row, column][None, None]
    return total
