"""Convolutions, in the form that each platform runs fast.

GPUs and TPUs get XLA's convolution. XLA's CPU backend runs two kinds of it far slower than the
same sums written otherwise: 1x1 convolutions (here: a matrix product) and depthwise ones (see
`depthwise.py`). The choice is made when the program is compiled.

Photos are [batch, height, width, channels], kernels [rows, columns, inputs, outputs].
"""

import functools
from collections.abc import Callable

import jax
from jaxtyping import Array, Float

from fashion_jax.models.depthwise import correlate
from fashion_jax.models.padding import Padding
from fashion_jax.models.xla_reference_ops import library_forms_asked

Form = Callable[[Array, Array], Array]


def convolution(
    images: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs_per_group outputs"],
    stride: int,
    padding: Padding,
    groups: int = 1,
) -> Float[Array, "batch height2 width2 outputs"]:
    """Returns the (cross-)correlation of photos and kernel."""
    default = functools.partial(xla_convolution, stride=stride, padding=padding, groups=groups)
    if library_forms_asked():
        return default(images, kernel)
    if kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)) and groups == 1:
        return _by_platform(functools.partial(_matrix_product, stride=stride), default)(
            images, kernel
        )
    return default(images, kernel)


def depthwise_convolution(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 channels"]:
    """Returns the correlation of each channel with a kernel of its own."""
    cpu = functools.partial(correlate, stride=stride, padding=padding)
    groups = images.shape[-1]
    default = functools.partial(xla_convolution, stride=stride, padding=padding, groups=groups)
    if library_forms_asked():
        return default(images, kernel)
    return _by_platform(cpu, default)(images, kernel)


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


def _matrix_product(images: Array, kernel: Array, stride: int) -> Array:
    strided = images[:, ::stride, ::stride]
    # One long axis of pixels: with three axes XLA's CPU backend runs the gradient slower.
    pixels = strided.reshape(-1, images.shape[-1])
    return (pixels @ kernel[0, 0]).reshape(*strided.shape[:-1], kernel.shape[-1])


def _by_platform(cpu: Form, default: Form) -> Form:
    """Returns the one form on CPUs and the other elsewhere; differentiable once, in reverse.

    The choice is hidden from differentiation, which would otherwise keep what both forms need.
    """

    @jax.custom_vjp
    def apply(images: Array, kernel: Array) -> Array:
        return jax.lax.platform_dependent(images, kernel, cpu=cpu, default=default)

    def forward(images: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
        return apply(images, kernel), (images, kernel)

    def backward(residuals: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
        return jax.lax.platform_dependent(
            *residuals, cotangent, cpu=_gradients(cpu), default=_gradients(default)
        )

    apply.defvjp(forward, backward)
    return apply


def _gradients(form: Form) -> Callable[[Array, Array, Array], tuple[Array, Array]]:
    def gradients(images: Array, kernel: Array, cotangent: Array) -> tuple[Array, Array]:
        _, pullback = jax.vjp(form, images, kernel)
        return pullback(cotangent)

    return gradients
