"""Checksum of weights, for the model card."""

import hashlib
from typing import Any

import jax
import numpy as np
from flax import nnx


def weights_hash(*weights: Any) -> str:
    """Return the SHA-256 of weights.

    It covers names (sorted), dtypes, shapes and bytes, and depends neither on the devices of the
    weights nor on their division into parts.

    Args:
        *weights: modules, their states, or nested dicts of arrays.
    """
    arrays: dict[str, np.ndarray] = {}
    for part in weights:
        arrays |= named_arrays(part)
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def named_arrays(weights: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a module, its state or nested dicts, by their paths joined by dots."""
    if isinstance(weights, nnx.Module):
        weights = nnx.state(weights, (nnx.Param, nnx.BatchStat))
    if isinstance(weights, nnx.State):
        weights = nnx.to_pure_dict(weights)
    leaves, _ = jax.tree_util.tree_flatten_with_path(weights)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(jax.device_get(leaf))
        for path, leaf in leaves
    }
