"""Maximum over windows."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def max_pool_3x3(
    images: Float[Array, "batch height width channels"], padding: int = 1
) -> Float[Array, "batch height2 width2 channels"]:
    """Return the maximum of 3x3 windows, stride 2.

    A maximum over shifted slices: on CPUs its gradient runs several times faster than that of
    `lax.reduce_window`, and every platform fuses it.

    Args:
        images: batch with at least one pixel per image.
        padding: pixels before the first window's begin, 0 or 1; windows that reach beyond the
            end count (PyTorch's `padding=1`, and `ceil_mode=True` without padding).
    """
    lowest = jnp.asarray(-jnp.inf, images.dtype)
    for axis in (1, 2):
        size = images.shape[axis]
        # Windows of padding alone do not count.
        windows = (size - 1) // 2 + 1 if padding else max(size // 2, 1)
        widths = [(0, 0)] * 4
        widths[axis] = (padding, 2)
        padded = jnp.pad(images, widths, constant_values=lowest)
        first, second, third = (
            jax.lax.slice_in_dim(padded, shift, shift + 2 * windows - 1, 2, axis)
            for shift in range(3)
        )
        images = jnp.maximum(jnp.maximum(first, second), third)
    return images
