"""Position embeddings for images of another size than a transformer was trained with.

The grid of embeddings is resampled bicubically, one axis after the other, with PyTorch's weights,
so that a model gives the same embeddings in both.
"""

import functools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

# Parameter a of the kernel: PyTorch uses -0.75, but -0.5 with antialiasing.
SHARP, SMOOTH = -0.75, -0.5


def resample_positions(
    positions: Float[Array, "places width"], rows: int, columns: int, antialias: bool, offset: float
) -> Float[Array, "places2 width"]:
    """Resample the embeddings of a square grid to another one; for the same they are unchanged.

    Args:
        positions: embeddings of a square grid, row by row.
        rows: rows of the new grid.
        columns: columns of the new grid.
        antialias: whether to smooth for a coarser grid.
        offset: number added to the new grid's sides to find the scale (0.1 in DINOv2's own code).
    """
    side = math.isqrt(positions.shape[0])
    if (rows, columns) == (side, side):
        return positions
    vertical, horizontal = (
        jnp.asarray(resampling_weights(side, size, antialias, offset), positions.dtype)
        for size in (rows, columns)
    )
    grid = positions.reshape(side, side, -1)
    grid = jnp.einsum("ri,ijw->rjw", vertical, grid)
    return jnp.einsum("cj,rjw->rcw", horizontal, grid).reshape(rows * columns, -1)


@functools.cache
def resampling_weights(
    source: int, target: int, antialias: bool, offset: float
) -> Float64[np.ndarray, "target source"]:
    """Return the weight of each old place in each new one; rows sum to 1."""
    scale = source / (target + offset)
    weights = np.zeros((target, source))
    for place in range(target):
        if antialias:
            _add_smooth(weights[place], scale, place)
        else:
            _add_sharp(weights[place], scale, place)
    return weights


def cubic(distance: float, a: float) -> float:
    """Return Keys' kernel at a distance in samples.

    Keys 1981, "Cubic convolution interpolation for digital image processing", equation 15.
    """
    x = abs(distance)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    if x < 2:
        return a * (x**3 - 5 * x**2 + 8 * x - 4)
    return 0.0


def _add_sharp(row: np.ndarray, scale: float, place: int) -> None:
    """Add the weights of four neighbours; those beyond the border count for the border's."""
    center = scale * (place + 0.5) - 0.5
    for neighbour in range(math.floor(center) - 1, math.floor(center) + 3):
        row[min(max(neighbour, 0), len(row) - 1)] += cubic(neighbour - center, SHARP)


def _add_smooth(row: np.ndarray, scale: float, place: int) -> None:
    """Set the weights of the neighbours of a new, wider place; those beyond the border are cut."""
    center, width = scale * (place + 0.5), max(scale, 1.0)
    first = max(math.floor(center - 2 * width + 0.5), 0)
    last = min(math.floor(center + 2 * width + 0.5), len(row))
    for neighbour in range(first, last):
        row[neighbour] = cubic((neighbour + 0.5 - center) / width, SMOOTH)
    row /= row.sum()
