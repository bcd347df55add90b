"""The part of the augmentation that the step does, from what was drawn where photos are read."""

import jax.numpy as jnp
from jaxtyping import Array, Int, UInt8


def flip_and_crop(
    images: UInt8[Array, "batch height width 3"], crops: Int[Array, "batch 3"]
) -> UInt8[Array, "batch height width 3"]:
    """Flip images, pad them with black and crop them to their size.

    The same pixels as by `fashion_jax.datasets.augment.flip_and_crop`.

    Args:
        images: the images.
        crops: (flips, down, right) of each image, as `Augmentation` has them.
    """
    _, height, width, _ = images.shape
    flips, down, right = (crops[:, i : i + 1] for i in range(3))
    rows = jnp.arange(height, dtype=crops.dtype)[None, :] + down
    columns = jnp.arange(width, dtype=crops.dtype)[None, :] + right
    in_rows = (rows >= 0) & (rows < height)
    in_columns = (columns >= 0) & (columns < width)
    columns = jnp.where(flips == 1, width - 1 - columns, columns)
    picked = jnp.take_along_axis(images, rows[:, :, None, None], axis=1, mode="clip")
    picked = jnp.take_along_axis(picked, columns[:, None, :, None], axis=2, mode="clip")
    inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    return jnp.where(inside, picked, jnp.zeros_like(picked))
