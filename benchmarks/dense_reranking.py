"""k-reciprocal re-ranking with matrices of photos × photos, as its authors' program does it.

Written from the paper (Zhong et al. 2017, arXiv:1701.08398), for benchmarks and tests only. The
authors' program keeps encodings and their sums in float16, which `dtype` reproduces.
"""

import numpy as np


def dense_reranking(
    queries: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    original_weight: float = 0.3,
    dtype: type = np.float16,
) -> np.ndarray:
    """Final distances [queries, gallery] of L2-normalised embeddings."""
    everything = np.concatenate([queries, gallery]).astype(np.float32)
    lengths = np.square(everything).sum(axis=1)
    squared = lengths[:, None] + lengths[None, :] - 2 * everything @ everything.T
    scaled = (squared / squared.max(axis=0)).T
    order = np.argsort(scaled, axis=1).astype(np.int32)
    encodings = np.zeros(scaled.shape, dtype=dtype)
    for photo in range(len(everything)):
        members = neighbourhood(order, photo, k1)
        weights = np.exp(-scaled[photo, members])
        encodings[photo, members] = weights / weights.sum()
    if k2 > 1:
        averaged = np.empty_like(encodings)
        for photo in range(len(everything)):
            averaged[photo] = encodings[order[photo, :k2]].mean(axis=0)
        encodings = averaged
    jaccard = jaccard_distances(encodings, len(queries))
    final = jaccard * (1 - original_weight) + scaled[: len(queries)] * original_weight
    return final[:, len(queries) :]


def reciprocal(order: np.ndarray, photo: int, k: int) -> np.ndarray:
    """Those of a photo's k nearest, and itself, that have it among theirs."""
    forward = order[photo, : k + 1]
    return forward[(order[forward, : k + 1] == photo).any(axis=1)]


def neighbourhood(order: np.ndarray, photo: int, k1: int) -> np.ndarray:
    """A photo's reciprocal neighbours, and those of candidates that share most of theirs."""
    near = reciprocal(order, photo, k1)
    members = [near]
    for candidate in near:
        half = reciprocal(order, candidate, round(k1 / 2))
        if 3 * len(np.intersect1d(half, near)) > 2 * len(half):
            members.append(half)
    return np.unique(np.concatenate(members))


def jaccard_distances(encodings: np.ndarray, queries: int) -> np.ndarray:
    """Of the first rows to all rows."""
    holders = [np.flatnonzero(column) for column in encodings.T]
    distances = np.empty((queries, len(encodings)), dtype=encodings.dtype)
    for query in range(queries):
        shared = np.zeros(len(encodings), dtype=encodings.dtype)
        for photo in np.flatnonzero(encodings[query]):
            rows = holders[photo]
            shared[rows] += np.minimum(encodings[query, photo], encodings[rows, photo])
        distances[query] = 1 - shared / (2 - shared)
    return distances
