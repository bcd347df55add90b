"""Maximum over windows."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool_3x3(
    images: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height2 width2 channels"]:
    """Returns the maximum of 3x3 windows, stride 2, one pixel of padding.

    A maximum over shifted slices: on CPUs its gradient runs several times faster than that of
    `lax.reduce_window`, and every platform fuses it.
    """
    lowest = jnp.asarray(-jnp.inf, images.dtype)
    for axis in (1, 2):
        images = _max_of_three(images, axis, lowest)
    return images


def _max_of_three(images: Array, axis: int, lowest: Array) -> Array:
    widths = [(0, 0)] * 4
    widths[axis] = (1, 1)
    padded = jnp.pad(images, widths, constant_values=lowest)
    count = (images.shape[axis] - 1) // 2 + 1
    slices = [slice(None)] * 4
    windows = []
    for shift in range(3):
        slices[axis] = slice(shift, shift + 2 * count - 1, 2)
        windows.append(padded[tuple(slices)])
    return jnp.maximum(jnp.maximum(windows[0], windows[1]), windows[2])
