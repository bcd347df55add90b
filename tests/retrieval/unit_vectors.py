"""Unit vectors to index."""

import numpy as np


def unit(array):
    return (array / np.linalg.norm(array, axis=1, keepdims=True)).astype(np.float32)


def clustered(rows, dimensions, clusters, seed=0):
    """Rows around `clusters` centers; the same centers for every seed."""
    centers = np.random.default_rng(99).normal(size=(clusters, dimensions))
    rng = np.random.default_rng(seed)
    noise = 0.5 * rng.normal(size=(rows, dimensions))
    return unit(centers[rng.integers(0, clusters, rows)] + noise)
