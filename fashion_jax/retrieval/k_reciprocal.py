"""k-reciprocal neighbour encodings.

Zhong et al. 2017 (arXiv:1701.08398), section 3. A photo is encoded by its reciprocal neighbours,
those that also have it among their neighbours, weighted by nearness. The reference implementation
fills dense matrices of photos × photos. Nearly all of their entries are 0; the matrices are sparse
here, and products of them replace the loop over photos.
"""

import dataclasses

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int

from fashion_jax.errors import FashionJaxError

# Pairs of photos whose distances are computed at once: 2 × 64 MiB at 512 dimensions.
_PAIRS_AT_ONCE = 2**15


@dataclasses.dataclass(frozen=True)
class KReciprocalConfig:
    """Parameters of k-reciprocal re-ranking; the defaults are the paper's.

    Attributes:
        k1: number of neighbours, besides the photo itself, that may be reciprocal.
        k2: number of nearest photos, including the photo itself, whose encodings are averaged.
        original_weight: weight λ of the original distance in the final distance.

    Raises:
        FashionJaxError: if a value is out of range.
    """

    k1: int = 20
    k2: int = 6
    original_weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 + 1:
            raise FashionJaxError(
                f"re-ranking needs a k1 of at least 1 and a k2 from 1 to k1 + 1, got "
                f"k1 = {self.k1} and k2 = {self.k2}"
            )
        if not 0 <= self.original_weight <= 1:
            raise FashionJaxError(
                f"re-ranking needs an original_weight between 0 and 1, got {self.original_weight}"
            )

    @property
    def half(self) -> int:
        """Number of neighbours in a candidate's smaller neighbourhood, besides itself."""
        return round(self.k1 / 2)


def encodings(
    embeddings_nd: Float32[np.ndarray, "photos dimensions"],
    neighbours: Int[np.ndarray, "photos found"],
    farthest: Float32[np.ndarray, " photos"],
    config: KReciprocalConfig,
) -> sp.csr_array:
    """Encode every photo by its reciprocal neighbours (equations 5 to 7 and 11).

    Args:
        embeddings_nd: L2-normalised embeddings.
        neighbours: k1 + 1 nearest photos of each photo, nearest first, including itself; fewer if
            there are fewer photos.
        farthest: squared distance to each photo's farthest photo, for normalisation.
        config: parameters of the re-ranking.

    Returns:
        Sparse float32 [photos, photos]; each row sums to 1.
    """
    near = _reciprocal(_adjacency(neighbours))
    expanded = _expand(near, _reciprocal(_adjacency(neighbours[:, : config.half + 1])))
    encoded = _weighted(expanded, embeddings_nd, farthest)
    if config.k2 == 1:
        return encoded
    nearest = _adjacency(neighbours[:, : config.k2])
    return _rows_averaged(nearest, encoded)


def _adjacency(neighbours: Int[np.ndarray, "photos found"]) -> sp.csr_array:
    """Sparse matrix with 1 from each photo to each of its neighbours."""
    photos, found = neighbours.shape
    starts = np.arange(0, photos * found + 1, found)
    ones = np.ones(photos * found, dtype=np.float32)
    return sp.csr_array((ones, neighbours.astype(np.int32).ravel(), starts), shape=(photos, photos))


def _reciprocal(adjacency: sp.csr_array) -> sp.csr_array:
    """Sparse matrix with 1 where two photos are neighbours of each other (equation 2)."""
    return adjacency.multiply(adjacency.T.tocsr()).tocsr()


def _expand(near: sp.csr_array, half: sp.csr_array) -> sp.csr_array:
    """Add the neighbourhoods of neighbours that share most of theirs (equation 3)."""
    shared = (near @ half).multiply(near).tocoo()
    sizes = half.sum(axis=1)
    # shared > 2/3 · size in integers, so that rounding does not decide ties.
    chosen = 3 * shared.data > 2 * sizes[shared.col]
    candidates = sp.csr_array(
        (np.ones(chosen.sum(), np.float32), (shared.row[chosen], shared.col[chosen])),
        shape=near.shape,
    )
    return (near + candidates @ half).tocsr()


def _weighted(
    pattern: sp.csr_array,
    embeddings_nd: Float32[np.ndarray, "photos dimensions"],
    farthest: Float32[np.ndarray, " photos"],
) -> sp.csr_array:
    """exp(−d²/max d²) at each entry of the pattern, rows divided by their sums (equation 7)."""
    rows = np.repeat(np.arange(pattern.shape[0]), np.diff(pattern.indptr))
    weights = np.empty(pattern.nnz, dtype=np.float32)
    for start in range(0, pattern.nnz, _PAIRS_AT_ONCE):
        part = slice(start, start + _PAIRS_AT_ONCE)
        one, other = embeddings_nd[rows[part]], embeddings_nd[pattern.indices[part]]
        distances = np.maximum(2 - 2 * np.einsum("pd,pd->p", one, other), 0)
        weights[part] = np.exp(-distances / farthest[rows[part]])
    sums = np.bincount(rows, weights=weights, minlength=pattern.shape[0]).astype(np.float32)
    return sp.csr_array((weights / sums[rows], pattern.indices, pattern.indptr), pattern.shape)


def _rows_averaged(nearest: sp.csr_array, encoded: sp.csr_array) -> sp.csr_array:
    """Averages each photo's encoding over its nearest photos (equation 11)."""
    counts = np.diff(nearest.indptr).astype(np.float32)
    mean = nearest @ encoded
    mean.data /= np.repeat(counts, np.diff(mean.indptr))
    return mean
