"""A map of a gallery: photos where their embeddings lie, in the plane that spreads them most.

The plane is that of the two largest principal components; the share of the variance that it shows
is said, as it is small for good embeddings. Of the photos that fall together one is drawn.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32

COLUMNS, ROWS = 16, 10
_ROWS_AT_ONCE = 8192


@dataclasses.dataclass(frozen=True)
class Place:
    """A photo on the map.

    Attributes:
        row: of the photo.
        column: of the map's grid, from the left.
        line: of the map's grid, from the top.
        photos: that fall into the same square.
    """

    row: int
    column: int
    line: int
    photos: int


@dataclasses.dataclass(frozen=True)
class EmbeddingMap:
    """What is drawn.

    Attributes:
        places: at most one photo a square, line by line.
        variance: share of the embeddings' variance that the plane shows.
    """

    places: list[Place]
    variance: float


def embedding_map(embeddings_nd: Float32[np.ndarray, "photos dimensions"]) -> EmbeddingMap:
    """Lays photos out on a grid of `COLUMNS` × `ROWS` squares.

    Args:
        embeddings_nd: L2-normalised, at least one.

    Returns:
        In each square the photo nearest to its middle.
    """
    plane, variance = _principal_plane(embeddings_nd)
    # Ranks spread the photos evenly; distances would heap most of them up in the middle.
    squares = np.stack([_share(plane[:, 0]) * COLUMNS, (1 - _share(plane[:, 1])) * ROWS], axis=1)
    cells = np.clip(squares.astype(int), 0, [COLUMNS - 1, ROWS - 1])
    off_centre = np.square(squares - cells - 0.5).sum(axis=1)
    number = cells[:, 1] * COLUMNS + cells[:, 0]
    places = []
    for square in np.unique(number).tolist():
        members = np.flatnonzero(number == square)
        nearest = int(members[np.argmin(off_centre[members])])
        places.append(Place(nearest, square % COLUMNS, square // COLUMNS, len(members)))
    return EmbeddingMap(places, variance)


def _principal_plane(embeddings_nd: np.ndarray) -> tuple[np.ndarray, float]:
    centred = embeddings_nd - embeddings_nd.mean(axis=0)
    # In blocks: in float64 a whole gallery would be twice as large as it is.
    products = np.zeros((centred.shape[1], centred.shape[1]))
    for start in range(0, len(centred), _ROWS_AT_ONCE):
        block = centred[start : start + _ROWS_AT_ONCE].astype(np.float64)
        products += block.T @ block
    variances, directions = np.linalg.eigh(products)
    directions = directions[:, ::-1][:, :2]
    # A component's sign means nothing: its largest number is made positive, to draw the same again.
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    plane = np.zeros((len(centred), 2))
    plane[:, : directions.shape[1]] = centred @ directions
    total = max(float(variances.sum()), 1e-12)
    return plane, float(variances[::-1][:2].sum()) / total


def _share(values: np.ndarray) -> np.ndarray:
    """Of the photos that come before each, from 0 to 1."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = (np.arange(len(values)) + 0.5) / len(values)
    return ranks
