"""Depthwise convolution and its gradients in a form that XLA's CPU backend runs fast.

All are elementwise sums of shifted slices, which XLA vectorises along the channels and divides
among threads along the batch; no slice cuts the batch, so that it may be sharded. Sums are kept
in at least float32.

With padded images x, kernel w, stride s and output y, per channel,

    y[h, v] = sum over i, j of x[s h + i, s v + j] w[i, j].
"""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from fashion_jax.models.numerics import accumulation_dtype, largest_divisor

# Pixels of zeros (above, below) and (left, right) of an image.
Padding = tuple[tuple[int, int], tuple[int, int]]

# Products that one pass of the kernel's gradient adds up: enough to amortise reading and writing
# the sum, few enough to compile quickly.
PRODUCTS_PER_PASS = 64


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def correlate(
    images: Float[Array, "batch height width channels"],
    kernel: Float[Array, "rows columns 1 channels"],
    stride: int,
    padding: Padding,
) -> Float[Array, "batch height2 width2 channels"]:
    """Return y of the formula above: one shifted multiply-add per tap."""
    compute = accumulation_dtype(images.dtype)
    rows, columns = kernel.shape[:2]
    kernel = kernel.astype(compute)
    padded = jnp.pad(images.astype(compute), ((0, 0), *padding, (0, 0)))
    height = (padded.shape[1] - rows) // stride + 1
    width = (padded.shape[2] - columns) // stride + 1
    terms = (
        padded[
            :,
            row : row + (height - 1) * stride + 1 : stride,
            column : column + (width - 1) * stride + 1 : stride,
        ]
        * kernel[row, column][None, None]
        for row in range(rows)
        for column in range(columns)
    )
    return functools.reduce(jnp.add, terms).astype(images.dtype)


def _forward(
    images: Array, kernel: Array, stride: int, padding: Padding
) -> tuple[Array, tuple[Array, Array]]:
    return correlate(images, kernel, stride, padding), (images, kernel)


def _backward(
    stride: int, padding: Padding, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    images, kernel = residuals
    compute = accumulation_dtype(images.dtype)
    padded = jnp.pad(images.astype(compute), ((0, 0), *padding, (0, 0)))
    wide = cotangent.astype(compute)
    to_images = _images_gradient(kernel.astype(compute), wide, stride, padded.shape)
    (top, _), (left, _) = padding
    to_images = to_images[:, top : top + images.shape[1], left : left + images.shape[2]]
    to_kernel = _kernel_gradient(padded, wide, stride, kernel.shape)
    return to_images.astype(images.dtype), to_kernel.astype(kernel.dtype)


correlate.defvjp(_forward, _backward)


def _images_gradient(kernel: Array, cotangent: Array, stride: int, shape: tuple[int, ...]) -> Array:
    """Return the cotangent of the padded images, and of further rows and columns behind them.

    Row s m + a of x meets tap s i + a of w in row m - i of y only: for each of the s phases a it
    is a correlation of stride 1. All phases are computed at once, on axes of their own that lie
    where a reshape interleaves them.
    """
    taps = [-(-size // stride) for size in kernel.shape[:2]]
    height, width = (-(-size // stride) for size in shape[1:3])
    phases = _split_taps(kernel, stride, taps)
    widths = [
        (0, 0),
        (taps[0] - 1, max(height - cotangent.shape[1], 0)),
        (taps[1] - 1, max(width - cotangent.shape[2], 0)),
        (0, 0),
    ]
    padded = jnp.pad(cotangent, widths)
    terms = []
    for row in range(taps[0]):
        for column in range(taps[1]):
            top, left = taps[0] - 1 - row, taps[1] - 1 - column
            window = padded[:, top : top + height, left : left + width]
            terms.append(window[:, :, None, :, None] * phases[row, column][None, None, :, None])
    total = functools.reduce(jnp.add, terms)
    return total.reshape(shape[0], height * stride, width * stride, shape[3])


def _split_taps(kernel: Array, stride: int, taps: list[int]) -> Array:
    """Return the kernel as [taps, taps, phases, phases, channels], padded with zeros."""
    rows, columns = kernel.shape[:2]
    widths = ((0, taps[0] * stride - rows), (0, taps[1] * stride - columns), (0, 0))
    whole = jnp.pad(kernel[:, :, 0], widths)
    return whole.reshape(taps[0], stride, taps[1], stride, -1).transpose(0, 2, 1, 3, 4)


def _kernel_gradient(padded: Array, cotangent: Array, stride: int, shape: tuple[int, ...]) -> Array:
    """Return the sum, over images and positions of y, of the patch of x times y's cotangent.

    A loop over blocks of positions adds to a sum per image, which stays in the cache.
    """
    batch, height, width, channels = cotangent.shape
    rows, columns = shape[:2]
    block_width = largest_divisor(width, PRODUCTS_PER_PASS)
    block_height = largest_divisor(height, PRODUCTS_PER_PASS // block_width)
    blocks_per_row = width // block_width
    patch_height = (block_height - 1) * stride + rows
    patch_width = (block_width - 1) * stride + columns

    def add_block(index: Array, total: Array) -> Array:
        top = index // blocks_per_row * block_height
        left = index % blocks_per_row * block_width
        patch = jax.lax.dynamic_slice(
            padded,
            (0, top * stride, left * stride, 0),
            (batch, patch_height, patch_width, channels),
        )
        block = jax.lax.dynamic_slice(
            cotangent, (0, top, left, 0), (batch, block_height, block_width, channels)
        )
        for row in range(block_height):
            for column in range(block_width):
                y, x = row * stride, column * stride
                weight = block[:, row, column][:, None, None]
                total = total + patch[:, y : y + rows, x : x + columns] * weight
        return total

    blocks = (height // block_height) * blocks_per_row
    start = jnp.zeros((batch, rows, columns, channels), cotangent.dtype)
    total = jax.lax.fori_loop(0, blocks, add_block, start)
    return jnp.sum(total, 0)[:, :, None]
