"""Convolutions in the form that each platform runs fast.

GPUs and TPUs get XLA's convolution. XLA's CPU backend runs two kinds of it far slower than the
same sums written otherwise: 1x1 convolutions (here a matrix product) and depthwise ones (see
`depthwise.py`). The form is chosen when the program is compiled.

Images are [batch, height, width, channels], kernels [rows, columns, inputs of a group, outputs].
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator

import jax
from jaxtyping import Array, Float

from fashion_jax.models.depthwise import Padding, correlate

Form = Callable[[Array, Array], Array]

_xla_only = contextvars.ContextVar("xla_only", default=False)


def convolution(
    images: Float[Array, "batch height width inputs"],
    kernel: Float[Array, "rows columns inputs_per_group outputs"],
    stride: int,
    padding: Padding,
    groups: int = 1,
) -> Float[Array, "batch height2 width2 outputs"]:
    """Return the cross-correlation of images and kernel.

    Args:
        images: batch of images.
        kernel: one kernel per output channel.
        stride: stride of both axes.
        padding: pixels of zeros on each side.
        groups: number of runs of input channels, each seen by as many of the outputs.
    """
    xla = functools.partial(xla_convolution, stride=stride, padding=padding, groups=groups)
    pointwise = kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0)) and groups == 1
    depthwise = kernel.shape[2:] == (1, groups)
    if _xla_only.get() or not (pointwise or depthwise):
        return xla(images, kernel)
    if pointwise:
        return _by_platform(images, kernel, functools.partial(_matrix_product, stride=stride), xla)
    cpu = functools.partial(correlate, stride=stride, padding=padding)
    return _by_platform(images, kernel, cpu, xla)


def xla_convolution(
    images: Array, kernel: Array, stride: int, padding: Padding, groups: int = 1
) -> Array:
    """Return XLA's own convolution."""
    return jax.lax.conv_general_dilated(
        images,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


@contextlib.contextmanager
def xla_convolutions_only() -> Iterator[None]:
    """Trace XLA's convolutions for all platforms, so that their operations can be counted."""
    token = _xla_only.set(True)
    try:
        yield
    finally:
        _xla_only.reset(token)


def _matrix_product(images: Array, kernel: Array, stride: int) -> Array:
    strided = images[:, ::stride, ::stride]
    # One long axis of pixels: with three axes XLA's CPU backend runs the gradient slower.
    pixels = strided.reshape(-1, images.shape[-1])
    return (pixels @ kernel[0, 0]).reshape(*strided.shape[:-1], kernel.shape[-1])


# The choice is hidden from differentiation, which would otherwise keep what both forms need.
@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _by_platform(images: Array, kernel: Array, cpu: Form, default: Form) -> Array:
    """Apply one form on CPUs and another elsewhere; differentiable once, in reverse."""
    return jax.lax.platform_dependent(images, kernel, cpu=cpu, default=default)


def _forward(
    images: Array, kernel: Array, cpu: Form, default: Form
) -> tuple[Array, tuple[Array, Array]]:
    return _by_platform(images, kernel, cpu, default), (images, kernel)


def _backward(
    cpu: Form, default: Form, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    def gradients(form: Form, images: Array, kernel: Array, cotangent: Array) -> tuple[Array, ...]:
        return jax.vjp(form, images, kernel)[1](cotangent)

    return jax.lax.platform_dependent(
        *residuals,
        cotangent,
        cpu=functools.partial(gradients, cpu),
        default=functools.partial(gradients, default),
    )


_by_platform.defvjp(_forward, _backward)
