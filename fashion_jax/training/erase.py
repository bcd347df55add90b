"""Fills the erased rectangles on the device, so that a batch travels as bytes."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

# Random erasing fills with ImageNet's mean after normalisation, as the strong baseline does.
ERASED_VALUE = (0.485, 0.456, 0.406)


def erase(
    images: Float[Array, "batch height width 3"], rectangles: Int[Array, "batch 4"]
) -> Float[Array, "batch height width 3"]:
    """Fill a rectangle (top, left, height, width) of each normalised photo."""
    _, height, width, _ = images.shape
    top, left, erased_height, erased_width = (rectangles[:, i : i + 1] for i in range(4))
    rows = jnp.arange(height, dtype=rectangles.dtype)[None, :]
    columns = jnp.arange(width, dtype=rectangles.dtype)[None, :]
    in_rows = (rows >= top) & (rows < top + erased_height)
    in_columns = (columns >= left) & (columns < left + erased_width)
    inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    fill = jnp.asarray(ERASED_VALUE, images.dtype).reshape(1, 1, 1, 3)
    return jnp.where(inside, fill, images)
