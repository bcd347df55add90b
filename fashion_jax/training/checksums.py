"""Checksums of the arrays of a state, wherever their parts lie."""

import math
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils


def checksums(tree: Any) -> dict[str, int]:
    """Return a checksum of 32 bits for each array of a tree, by its path.

    It is the sum, modulo 2³², of the array's words, each multiplied by an odd number of its own:
    1, 3, 5, … in the order of the whole array. A flipped bit always changes it, because an odd
    number times a power of two below 2³² is none of its multiples. A sum of integers has no order,
    so that the checksum does not depend on the devices and hosts that hold the array.

    Args:
        tree: of JAX arrays; on all hosts of the job together.
    """
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    sums = np.array([_sum_of_parts(leaf) for _, leaf in leaves], np.uint64).astype(np.uint32)
    if jax.process_count() > 1:
        sums = multihost_utils.process_allgather(sums).sum(axis=0, dtype=np.uint32)
    names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves]
    return {name: int(number) for name, number in zip(names, sums, strict=True)}


def _sum_of_parts(array: jax.Array) -> int:
    """The sum over those parts of an array that this host answers for."""
    total = 0
    for part in array.addressable_shards:
        if part.replica_id == 0:
            values = np.ascontiguousarray(part.data)
            words = values.reshape(-1).view(f"u{min(values.itemsize, 4)}").astype(np.uint32)
            factors = _factors(array.shape, part.index, values.itemsize // 4 or 1)
            total += int((words * factors).sum(dtype=np.uint32))
    return total


def _factors(shape: tuple[int, ...], index: tuple[slice, ...], words: int) -> np.ndarray:
    """The odd number of each word of a part, by its place in the whole array."""
    places: np.ndarray = np.zeros((1,) * len(shape), np.uint32)
    for axis, part in enumerate(index):
        stride = math.prod(shape[axis + 1 :]) % 2**32
        along = np.arange(*part.indices(shape[axis]), dtype=np.uint32) * np.uint32(stride)
        places = places + along.reshape((-1,) + (1,) * (len(shape) - axis - 1))
    places = places.reshape(-1, 1) * np.uint32(words) + np.arange(words, dtype=np.uint32)
    return places.reshape(-1) * np.uint32(2) + np.uint32(1)
