"""Convolutions, matrix products and maxima, in the form that each platform runs fast.

Parameters are `nnx.Param`; every layer computes in the dtype of its input, to which they are cast.
Normalisations are in `norms.py`.

GPUs and TPUs get XLA's convolution. XLA's CPU backend runs two kinds of it far slower than the
same sums written otherwise: 1x1 convolutions (here a matrix product) and depthwise ones (see
`depthwise.py`). The form is chosen when the program is compiled.

Images are [batch, height, width, channels], kernels [rows, columns, inputs of a group, outputs].
"""

import contextlib
import contextvars
import functools
import math
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fashion_jax.models.depthwise import Padding, correlate
from fashion_jax.models.numerics import initial_weights

Form = Callable[..., Array]

_xla_only = contextvars.ContextVar("xla_only", default=False)


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
        self.kernel = nnx.Param(initial_weights(rngs, shape, std, param_dtype))
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
        self.kernel = nnx.Param(initial_weights(rngs, (inputs, outputs), std, param_dtype))
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
        return _by_platform(functools.partial(_matrix_product, stride=stride), xla, images, kernel)
    cpu = functools.partial(correlate, stride=stride, padding=padding)
    return _by_platform(cpu, xla, images, kernel)


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
@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _by_platform(cpu: Form, default: Form, *arrays: Array) -> Array:
    """Apply one form on CPUs and another elsewhere; differentiable once, in reverse."""
    return jax.lax.platform_dependent(*arrays, cpu=cpu, default=default)


def _forward(cpu: Form, default: Form, *arrays: Array) -> tuple[Array, tuple[Array, ...]]:
    return _by_platform(cpu, default, *arrays), arrays


def _backward(
    cpu: Form, default: Form, residuals: tuple[Array, ...], cotangent: Array
) -> tuple[Array, ...]:
    def gradients(form: Form, cotangent: Array, *arrays: Array) -> tuple[Array, ...]:
        return jax.vjp(form, *arrays)[1](cotangent)

    return jax.lax.platform_dependent(
        cotangent,
        *residuals,
        cpu=functools.partial(gradients, cpu),
        default=functools.partial(gradients, default),
    )


_by_platform.defvjp(_forward, _backward)


def max_pool_3x3(
    images: Float[Array, "batch height width channels"], padding: int = 1
) -> Float[Array, "batch height2 width2 channels"]:
    """Return the maximum of 3x3 windows, stride 2.

    Args:
        images: batch with at least one pixel per image.
        padding: pixels before the first window's begin, 0 or 1; windows that reach beyond the
            end count (PyTorch's `padding=1`, and `ceil_mode=True` without padding).
    """
    forms = (functools.partial(form, padding=padding) for form in (_largest_slices, xla_max_pool))
    return _by_platform(*forms, images)


def xla_max_pool(
    images: Float[Array, "batch height width channels"], padding: int
) -> Float[Array, "batch height2 width2 channels"]:
    """Return XLA's own maximum of 3x3 windows, stride 2; see `max_pool_3x3`."""
    sides = [
        (padding, 2 * _windows(size, padding) + 1 - padding - size) for size in images.shape[1:3]
    ]
    return jax.lax.reduce_window(
        images,
        -jnp.inf,
        jax.lax.max,
        window_dimensions=(1, 3, 3, 1),
        window_strides=(1, 2, 2, 1),
        padding=((0, 0), *sides, (0, 0)),
    )


def _largest_slices(images: Array, padding: int) -> Array:
    """The same by shifted slices, whose gradient runs several times faster on CPUs.

    On a TPU it moves twelve times the bytes of XLA's own.
    """
    lowest = jnp.asarray(-jnp.inf, images.dtype)
    for axis in (1, 2):
        windows = _windows(images.shape[axis], padding)
        widths = [(0, 0)] * 4
        widths[axis] = (padding, 2)
        padded = jnp.pad(images, widths, constant_values=lowest)
        first, second, third = (
            jax.lax.slice_in_dim(padded, shift, shift + 2 * windows - 1, 2, axis)
            for shift in range(3)
        )
        images = jnp.maximum(jnp.maximum(first, second), third)
    return images


def _windows(size: int, padding: int) -> int:
    """Count the windows along a side; those of padding alone do not count."""
    return (size - 1) // 2 + 1 if padding else max(size // 2, 1)
