"""The device mesh and where each array lies on it.

Axes: `data` divides the batch, `model` divides the identities of the classifier and the centers.
"""

import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fashion_jax.config import MeshConfig
from fashion_jax.errors import FashionJaxError

# First match wins; every other array has a copy on each device.
SHARDING_RULES: tuple[tuple[str, PartitionSpec], ...] = (
    (r"classifier/kernel", PartitionSpec(None, "model")),  # [features, identities]
    (r"centers", PartitionSpec("model", None)),  # [identities, features]
)


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh over all devices of the job (or `devices`), with axes `data` and `model`.

    Raises:
        FashionJaxError: if the axes do not use the devices exactly.
    """
    devices = list(jax.devices() if devices is None else devices)
    shape = [config.data, config.model]
    if shape.count(-1) == 1:
        known = -int(np.prod(shape))
        shape[shape.index(-1)] = len(devices) // known
    if min(shape) < 1 or int(np.prod(shape)) != len(devices):
        raise FashionJaxError(
            f"mesh.data={config.data} × mesh.model={config.model} does not divide "
            f"{len(devices)} devices; their product has to be their number (-1: all that are left)"
        )
    return jax.make_mesh(
        tuple(shape), ("data", "model"), (AxisType.Auto, AxisType.Auto), devices=devices
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Batches are divided along their first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """A copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def tree_shardings(tree: Any, mesh: Mesh) -> Any:
    """The sharding of every array of a tree, by `SHARDING_RULES` on its path.

    An axis that the mesh cannot divide evenly stays whole.
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: NamedSharding(mesh, _partition(_name(path), leaf.shape, mesh)), tree
    )


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _partition(name: str, shape: tuple[int, ...], mesh: Mesh) -> PartitionSpec:
    for pattern, partition in SHARDING_RULES:
        if re.search(pattern, name) and _divides(partition, shape, mesh):
            return partition
    return PartitionSpec()


def _divides(partition: PartitionSpec, shape: tuple[int, ...], mesh: Mesh) -> bool:
    if len(partition) != len(shape):
        return False
    axes = zip(shape, partition, strict=True)
    return all(name is None or size % mesh.shape[name] == 0 for size, name in axes)
