"""A map of a gallery: photos at the positions of their embeddings in the principal plane.

The plane is spanned by the first two principal components. The map states the share of the variance
that they explain, which is small for good embeddings. Each square of the grid shows one photo.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32

COLUMNS, ROWS = 16, 10
_ROWS_AT_ONCE = 8192


@dataclasses.dataclass(frozen=True)
class PlacedPhoto:
    """A photo on the map.

    Attributes:
        row: row of the photo in the gallery.
        column: column of the grid, from the left.
        line: line of the grid, from the top.
        photos: number of photos in the same square.
    """

    row: int
    column: int
    line: int
    photos: int


@dataclasses.dataclass(frozen=True)
class EmbeddingMap:
    """Photos of the map.

    Attributes:
        photos: photos line by line, at most one per square.
        variance: share of the variance that the plane explains.
    """

    photos: list[PlacedPhoto]
    variance: float


def embedding_map(embeddings_nd: Float32[np.ndarray, "photos dimensions"]) -> EmbeddingMap:
    """Places photos on a grid of `COLUMNS` × `ROWS` squares.

    Args:
        embeddings_nd: L2-normalised embeddings, at least one.

    Returns:
        The photo nearest to the centre of each square.
    """
    plane, variance = _principal_plane(embeddings_nd)
    # Ranks spread the photos evenly; coordinates would crowd most of them in the middle.
    squares = np.stack([_share(plane[:, 0]) * COLUMNS, (1 - _share(plane[:, 1])) * ROWS], axis=1)
    cells = np.clip(squares.astype(int), 0, [COLUMNS - 1, ROWS - 1])
    off_centre = np.square(squares - cells - 0.5).sum(axis=1)
    number = cells[:, 1] * COLUMNS + cells[:, 0]
    photos = []
    for square in np.unique(number).tolist():
        members = np.flatnonzero(number == square)
        nearest = int(members[np.argmin(off_centre[members])])
        photos.append(PlacedPhoto(nearest, square % COLUMNS, square // COLUMNS, len(members)))
    return EmbeddingMap(photos, variance)


def _principal_plane(embeddings_nd: np.ndarray) -> tuple[np.ndarray, float]:
    centred = embeddings_nd - embeddings_nd.mean(axis=0)
    # In blocks, because a float64 copy of the gallery would double its size.
    products = np.zeros((centred.shape[1], centred.shape[1]))
    for start in range(0, len(centred), _ROWS_AT_ONCE):
        block = centred[start : start + _ROWS_AT_ONCE].astype(np.float64)
        products += block.T @ block
    variances, directions = np.linalg.eigh(products)
    directions = directions[:, ::-1][:, :2]
    # The sign of a component is arbitrary; a positive largest entry makes the map reproducible.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    plane = np.zeros((len(centred), 2))
    plane[:, : directions.shape[1]] = centred @ directions
    total = max(float(variances.sum()), 1e-12)
    return plane, float(variances[::-1][:2].sum()) / total


def _share(values: np.ndarray) -> np.ndarray:
    """Return the share of values before each one, from 0 to 1."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = (np.arange(len(values)) + 0.5) / len(values)
    return ranks
