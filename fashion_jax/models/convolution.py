"""Convolutions, in the form that each platform runs fast.

GPUs and TPUs get XLA's convolution. XLA's CPU backend runs two kinds of it far slower than the
same sums written otherwise: 1x1 convolutions (here: a matrix product) and depthwise ones (see
`depthwise.py`). `jax.lax.platform_dependent` chooses when the program is compiled.

Photos are [batch, height, width, channels], kernels [rows, columns, inputs, outputs].
"""

import functools

import jax
from jaxtyping import Array, Float

from fashion_jax.models import depthwise
from fashion_jax.models.padding import Padding


def convolution(
    images: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs outputs"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 outputs"]:
    """Returns the (cross-)correlation of photos and kernel."""
    if kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)):
        strided = images[:, ::stride, ::stride]
        return _pointwise(strided, kernel)
    return xla_convolution(images, kernel, stride, padding)


def xla_convolution(
    images: Array, kernel: Array, stride: int, padding: Padding, groups: int = 1
) -> Array:
    """Returns XLA's own convolution."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


def _pointwise(images: Array, kernel: Array) -> Array:
    """A 1x1 convolution of stride 1: a matrix product on every platform."""
    pixels = images.reshape(-1, images.shape[-1])  # one long axis: XLA's CPU gradient is faster
    return (pixels @ kernel[0, 0]).reshape(*images.shape[:-1], kernel.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 channels"]:
    """Returns the correlation of each channel with a kernel of its own.

    Has a gradient of first order in reverse mode only: the choice between platforms is made
    outside of differentiation, which would keep the residuals of both.
    """
    return jax.lax.platform_dependent(
        images,
        kernel,
        cpu=functools.partial(depthwise.correlate, stride=stride, padding=padding),
        default=functools.partial(_xla_depthwise, stride=stride, padding=padding),
    )


def _xla_depthwise(images: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    return xla_convolution(images, kernel, stride, padding, groups=images.shape[-1])


def _depthwise_forward(
    images: Array, kernel: Array, stride: int, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return depthwise_convolution(images, kernel, stride, padding), (images, kernel)


def _depthwise_backward(
    stride: int, padding: Padding, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    return jax.lax.platform_dependent(
        *residuals,
        cotangent,
        cpu=functools.partial(depthwise.gradients, stride=stride, padding=padding),
        default=functools.partial(_xla_depthwise_gradients, stride=stride, padding=padding),
    )


def _xla_depthwise_gradients(
    images: Array, kernel: Array, cotangent: Array, stride: int, padding: Padding
) -> tuple[Array, Array]:
    forward = functools.partial(_xla_depthwise, stride=stride, padding=padding)
    _, pullback = jax.vjp(forward, images, kernel)
    return pullback(cotangent)


depthwise_convolution.defvjp(_depthwise_forward, _depthwise_backward)
