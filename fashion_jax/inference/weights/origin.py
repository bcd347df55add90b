"""Checksum of weights, and the file that a run's first weights came from, for the model card."""

import dataclasses
import hashlib
import pathlib
from typing import Any

import jax
import numpy as np
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.files import open_file
from fashion_jax.inference.weights.pretrained import pretrained_path


@dataclasses.dataclass(frozen=True)
class WeightsOrigin:
    """A file of weights; both fields are empty for weights drawn at random.

    Attributes:
        name: name of the file, without its folder.
        sha256: SHA-256 of its bytes.
    """

    name: str = ""
    sha256: str = ""


def weights_origin(config: ModelConfig) -> WeightsOrigin:
    """Return the origin of the weights that `config.pretrained` names.

    Raises:
        WeightsError: for a backbone without packaged weights.
        UnreadableFileError: for a path that is not a readable file.
    """
    if config.pretrained == "none":
        return WeightsOrigin()
    return file_origin(pretrained_path(config))


def file_origin(path: pathlib.Path) -> WeightsOrigin:
    """Return a file's name and checksum.

    Raises:
        UnreadableFileError: for a path that is not a readable file.
    """
    digest = hashlib.sha256()
    with open_file(path) as file:
        while part := file.read(2**20):
            digest.update(part)
    return WeightsOrigin(path.name, digest.hexdigest())


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
