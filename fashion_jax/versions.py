"""Differences between versions of JAX and Flax, each with the versions it is for.

An entry can go once the lower bound in `pyproject.toml` has passed its versions.
"""

from typing import NamedTuple

import jax

# flax 0.11.2 keeps modules in plain lists; 0.12.8 refuses those and has `nnx.List`.
try:
    from flax.nnx import List as ModuleList
except ImportError:
    ModuleList = list  # type: ignore[assignment,misc]

# jax 0.7.2 has it only in `jax.experimental`; 0.10.2 has it as `jax.enable_x64`.
try:
    enable_x64 = jax.enable_x64
except AttributeError:
    from jax.experimental import enable_x64  # type: ignore[attr-defined,no-redef]

__all__ = ["Cluster", "ModuleList", "detect_cluster", "enable_x64"]


class Cluster(NamedTuple):
    """A cluster that JAX detects.

    Attributes:
        name: name for `jax.distributed.initialize(cluster_detection_method=...)`.
        processes: number of processes of the job.
    """

    name: str
    processes: int


def detect_cluster() -> Cluster | None:
    """Ask JAX which cluster this process runs on, without joining it.

    JAX has no public function for that up to 0.12.
    """
    from jax._src.clusters import ClusterEnv

    for kind in ClusterEnv._cluster_types:
        if not kind.opt_in_only_method and kind.is_env_present():
            return Cluster(kind.name, kind.get_process_count())
    return None
