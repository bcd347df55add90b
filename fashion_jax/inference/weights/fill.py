"""Fills a network with tensors, one to one and completely, or not at all."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.weights.layout import to_ours

FLOATS = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))


class PretrainedWeightsError(FashionJaxError):
    """Weights that do not fit the network."""


def fill(network: nnx.Module, tensors: Mapping[str, np.ndarray], origin: str) -> None:
    """Fills a network, in place.

    Every tensor is used exactly once, and every parameter and statistic of the network is
    filled. Nothing is filled if anything is wrong.

    Args:
        network: whose attributes have the tensors' names.
        tensors: with PyTorch's names of leaves, and its axes.
        origin: of the tensors, for messages.

    Raises:
        PretrainedWeightsError: lists all tensors that are missing, surplus, misshapen, of another
            kind than floating numbers, or not finite.
    """
    found = {}
    for name, tensor in tensors.items():
        target, ours = to_ours(name, tensor)
        found[target] = (name, ours)
    problems = find_problems(found, targets_of(network))
    if problems:
        raise PretrainedWeightsError(f"{origin} does not fit the network\n" + "\n".join(problems))
    for path, variable in nnx.to_flat_state(nnx.state(network, (nnx.Param, nnx.BatchStat))):
        variable[...] = jnp.asarray(found[_join(path)][1], variable.dtype)


def targets_of(network: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Returns the shapes of a network's parameters and statistics by their paths."""
    state = nnx.state(network, (nnx.Param, nnx.BatchStat))
    return {_join(path): variable.shape for path, variable in nnx.to_flat_state(state)}


def find_problems(
    found: Mapping[str, tuple[str, np.ndarray]], targets: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Returns a line for each kind of problem, with its count and all names.

    Args:
        found: by our paths, the name in the file and the tensor with our axes.
        targets: shapes by our paths.
    """
    missing = [path for path in targets if path not in found]
    surplus, misshapen, wrong_kind, wild = [], [], [], []
    for path, (name, tensor) in found.items():
        if path not in targets:
            surplus.append(name)
        elif tensor.shape != targets[path]:
            misshapen.append(f"{name} ({tensor.shape} for {targets[path]})")
        if tensor.dtype not in FLOATS:
            wrong_kind.append(f"{name} ({tensor.dtype})")
        elif not np.isfinite(tensor).all():
            wild.append(name)
    kinds = {
        "missing": missing,
        "surplus": surplus,
        "misshapen": misshapen,
        "no floating numbers": wrong_kind,
        "not finite": wild,
    }
    return [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]


def _join(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)
