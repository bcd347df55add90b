"""Who is whose neighbour in turn: the sparse encodings of k-reciprocal re-ranking.

Zhong et al. 2017 (arXiv:1701.08398), section 3. A photo is encoded by its neighbours that have it
for a neighbour, too, weighted by nearness. The reference implementation fills matrices of photos ×
photos; nearly all of their numbers are 0, so that here they are sparse, and what was a loop over
photos is a product of sparse matrices.
"""

import dataclasses

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float32, Int

from fashion_jax.errors import FashionJaxError

# Pairs of photos whose distances are computed at a time: 2 × 64 MiB at 512 dimensions.
_PAIRS_AT_ONCE = 2**15


@dataclasses.dataclass(frozen=True)
class Reciprocal:
    """Settings of k-reciprocal re-ranking, with the paper's values.

    Attributes:
        k1: neighbours, beside the photo itself, that may be reciprocal.
        k2: nearest photos, the photo itself among them, over which encodings are averaged.
        original_weight: λ, of the original distance in the final one.
    """

    k1: int = 20
    k2: int = 6
    original_weight: float = 0.3

    def __post_init__(self) -> None:
        if self.k1 < 1 or not 1 <= self.k2 <= self.k1 + 1:
            raise FashionJaxError(
                f"re-ranking needs k1 of at least 1 and k2 from 1 to k1 + 1, got k1 = {self.k1} "
                f"and k2 = {self.k2}"
            )
        if not 0 <= self.original_weight <= 1:
            raise FashionJaxError(
                "the original distance's weight in re-ranking lies between 0 and 1, got "
                f"{self.original_weight}"
            )

    @property
    def half(self) -> int:
        """Neighbours in the smaller neighbourhood of a candidate, beside itself."""
        return round(self.k1 / 2)


def encodings(
    embeddings_nd: Float32[np.ndarray, "photos dimensions"],
    neighbours: Int[np.ndarray, "photos found"],
    farthest: Float32[np.ndarray, " photos"],
    settings: Reciprocal,
) -> sp.csr_array:
    """Encodes every photo (equations 5 to 7 and 11).

    Args:
        embeddings_nd: L2-normalised.
        neighbours: the k1 + 1 nearest photos of each, nearest first, itself among them; fewer
            where there are fewer photos.
        farthest: squared distance of each photo's farthest one, by which its own are divided.
        settings: of the re-ranking.

    Returns:
        float32 [photos, photos], rows that sum up to 1.
    """
    near = _reciprocal(_adjacency(neighbours))
    expanded = _expand(near, _reciprocal(_adjacency(neighbours[:, : settings.half + 1])))
    encoded = _weighted(expanded, embeddings_nd, farthest)
    if settings.k2 == 1:
        return encoded
    nearest = _adjacency(neighbours[:, : settings.k2])
    return _rows_averaged(nearest, encoded)


def _adjacency(neighbours: Int[np.ndarray, "photos found"]) -> sp.csr_array:
    """1 from each photo to each of its neighbours."""
    photos, found = neighbours.shape
    starts = np.arange(0, photos * found + 1, found)
    ones = np.ones(photos * found, dtype=np.float32)
    return sp.csr_array((ones, neighbours.astype(np.int32).ravel(), starts), shape=(photos, photos))


def _reciprocal(adjacency: sp.csr_array) -> sp.csr_array:
    """1 where both photos are neighbours of each other (equation 2)."""
    return adjacency.multiply(adjacency.T.tocsr()).tocsr()


def _expand(near: sp.csr_array, half: sp.csr_array) -> sp.csr_array:
    """Takes in the neighbourhoods of those neighbours that share most of theirs (equation 3)."""
    shared = (near @ half).multiply(near).tocoo()
    sizes = half.sum(axis=1)
    # In whole numbers: 3 · shared > 2 · size. Rounding must not decide where they are equal.
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
    """Each photo's encoding as the mean of its nearest photos' (equation 11)."""
    counts = np.diff(nearest.indptr).astype(np.float32)
    mean = nearest @ encoded
    mean.data /= np.repeat(counts, np.diff(mean.indptr))
    return mean
