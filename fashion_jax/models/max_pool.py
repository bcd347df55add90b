"""Maximum over windows."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool_3x3(
    images: Float[Array, "batch height width channels"], padding: int = 1
) -> Float[Array, "batch height2 width2 channels"]:
    """Returns the maximum of 3x3 windows, stride 2.

    A maximum over shifted slices: on CPUs its gradient runs several times faster than that of
    `lax.reduce_window`, and every platform fuses it.

    Args:
        images: at least one pixel of each.
        padding: pixels before the first window's begin, 0 or 1; windows that reach beyond the
            end count (PyTorch's `padding=1`, and `ceil_mode=True` without padding).
    """
    lowest = jnp.asarray(-jnp.inf, images.dtype)
    for axis in (1, 2):
        images = _max_of_three(images, axis, lowest, padding)
    return images


def _max_of_three(images: Array, axis: int, lowest: Array, padding: int) -> Array:
    size = images.shape[axis]
    count = _windows(size, padding)
    widths = [(0, 0)] * 4
    widths[axis] = (padding, 2)
    padded = jnp.pad(images, widths, constant_values=lowest)
    slices = [slice(None)] * 4
    windows = []
    for shift in range(3):
        slices[axis] = slice(shift, shift + 2 * count - 1, 2)
        windows.append(padded[tuple(slices)])
    return jnp.maximum(jnp.maximum(windows[0], windows[1]), windows[2])


def _windows(size: int, padding: int) -> int:
    """How many there are along an axis; none of padding alone."""
    return (size - 1) // 2 + 1 if padding else max(size // 2, 1)
