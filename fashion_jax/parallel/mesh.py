"""Device mesh, the sharding of each array on it, and the compiler's options for it.

Axis `data` divides the batch, axis `model` the identities of the classifier and of the centers. A
large classifier is divided over both: devices then exchange the batch's embeddings, and not a
gradient of all columns.
"""

import functools
import math
import re
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from fashion_jax.config import ConfigError, MeshConfig

# Elements of a classifier whose gradient costs more to exchange than embeddings.
LARGE_CLASSIFIER = 2**20

# The first rule that matches, and whose axes divide the array, applies; other arrays have a copy on
# each device. The number is of elements that an array needs for the rule.
SHARDING_RULES: tuple[tuple[str, PartitionSpec, int], ...] = (
    (
        r"classifier/kernel",
        PartitionSpec(None, ("model", "data")),
        LARGE_CLASSIFIER,
    ),  # [features, identities]
    (r"classifier/kernel", PartitionSpec(None, "model"), 0),
    (r"centers", PartitionSpec("model", None), 0),  # [identities, features]
)

_Spec = tuple[str | tuple[str, ...] | None, ...]

# Elements of an array that is worth dividing; smaller ones cost more to gather than to keep.
_LEAST_DIVIDED = 2**16

# From jaxlib 0.10 on, XLA's CPU backend hands convolutions, products and sums to YNNPACK, whose
# sums over a batch run on one core, and whose gradients of kernels are several times slower than
# XLA's older ones. Without it a training step takes about half the time (docs/runs.md).
_CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Make a mesh with axes `data` and `model`.

    Args:
        config: sizes of the axes; one of them may be -1, for all devices that are left.
        devices: devices of the mesh; by default all devices of the job.

    Raises:
        ConfigError: for axes whose product is not the number of devices.
    """
    devices = list(jax.devices() if devices is None else devices)
    shape = [config.data, config.model]
    if shape.count(-1) == 1:
        known = -int(np.prod(shape))
        shape[shape.index(-1)] = len(devices) // known
    if min(shape) < 1 or int(np.prod(shape)) != len(devices):
        raise ConfigError(
            f"mesh.data={config.data} × mesh.model={config.model} does not divide {len(devices)} "
            "devices; make the product their number (-1 stands for all devices that are left)"
        )
    return jax.make_mesh(
        tuple(shape), ("data", "model"), (AxisType.Auto, AxisType.Auto), devices=devices
    )


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Return the sharding of batches: divided along their first axis."""
    return NamedSharding(mesh, PartitionSpec("data"))


def replicated(mesh: Mesh) -> NamedSharding:
    """Return the sharding with a copy on each device."""
    return NamedSharding(mesh, PartitionSpec())


def tree_shardings(tree: Any, mesh: Mesh, fsdp: bool = False) -> Any:
    """Return the sharding of every array of a tree, by `SHARDING_RULES` on its path.

    An array that the mesh cannot divide evenly stays whole.

    Args:
        tree: arrays, or their shapes.
        mesh: devices.
        fsdp: divide large arrays over the data axis as well, along their longest axis that it
            divides (fully sharded data parallelism, Rajbhandari et al. 2020, arXiv:1910.02054,
            stage 3). XLA gathers each where it is used.
    """

    def sharding(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        spec = _rule_of(name, leaf.shape, mesh)
        if fsdp and math.prod(leaf.shape) >= _LEAST_DIVIDED:
            spec = _over_data(spec, leaf.shape, mesh)
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree_util.tree_map_with_path(sharding, tree)


def _rule_of(name: str, shape: tuple[int, ...], mesh: Mesh) -> _Spec:
    for pattern, partition, least in SHARDING_RULES:
        divides = len(partition) == len(shape) and all(
            size % math.prod(mesh.shape[axis] for axis in _axes(entry)) == 0
            for size, entry in zip(shape, partition, strict=True)
        )
        if divides and math.prod(shape) >= least and re.search(pattern, name):
            return tuple(partition)
    return ()


def _axes(entry: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """Axes of the mesh that divide one axis of an array."""
    return () if entry is None else (entry,) if isinstance(entry, str) else entry


def divides_over_data(spec: PartitionSpec | _Spec) -> bool:
    """Whether devices of the data axis hold different parts of an array."""
    return any("data" in _axes(entry) for entry in spec)


def _over_data(spec: _Spec, shape: tuple[int, ...], mesh: Mesh) -> _Spec:
    if divides_over_data(spec):
        return spec
    devices = mesh.shape["data"]
    axes = [*spec, *[None] * (len(shape) - len(spec))]
    free = [axis for axis, size in enumerate(shape) if axes[axis] is None and size % devices == 0]
    if not free:
        return spec
    axes[max(free, key=lambda axis: shape[axis])] = "data"
    return tuple(axes)


def shard_tree(tree: Any, mesh: Mesh, fsdp: bool = False) -> Any:
    """Put the arrays of a tree onto the mesh, sharded by `tree_shardings`."""
    return jax.device_put(tree, tree_shardings(tree, mesh, fsdp))


@functools.cache
def compiler_options(mesh: Mesh) -> dict[str, str] | None:
    """Return XLA's options to train and embed with on a mesh; `None` for its own.

    Those are for CPUs, and for a jaxlib that has them: they are experimental.
    """
    if mesh.devices.flat[0].platform != "cpu":
        return None
    try:
        jax.jit(lambda: 0, compiler_options=_CPU_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return None
    return _CPU_OPTIONS
