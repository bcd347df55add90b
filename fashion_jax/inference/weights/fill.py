"""Loading of tensors into a network: one to one and completely, or not at all."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx

from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.layout import to_ours

FLOATS = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))


def fill_network(network: nnx.Module, tensors: Mapping[str, np.ndarray], source: str) -> None:
    """Set all variables of a network, in place.

    Every tensor is used exactly once, and every parameter and running statistic of the network
    is set. If anything is wrong, nothing is set.

    Args:
        network: network whose attributes have the names of the tensors.
        tensors: tensors by PyTorch's names, with its axes.
        source: place that the tensors come from, for messages.

    Raises:
        WeightsError: listing all tensors that are missing, surplus, misshapen, not floating-point
            or not finite.
    """
    found = require_fit(network, tensors, source)
    for path, variable in nnx.to_flat_state(nnx.state(network, (nnx.Param, nnx.BatchStat))):
        variable[...] = jnp.asarray(found[_join(path)][1], variable.dtype)


def require_fit(
    network: nnx.Module, tensors: Mapping[str, np.ndarray], source: str
) -> dict[str, tuple[str, np.ndarray]]:
    """Return the tensors by the paths of a network's variables, all of which they fill.

    Args:
        network: see `fill_network`; shapes in the place of arrays are enough.
        tensors: see `fill_network`.
        source: see `fill_network`.

    Raises:
        WeightsError: see `fill_network`.
    """
    found = {}
    for name, tensor in tensors.items():
        target, ours = to_ours(name, tensor)
        found[target] = (name, ours)
    problems = find_problems(found, variable_shapes(network))
    if problems:
        raise WeightsError(f"{source} does not fit the network\n" + "\n".join(problems))
    return found


def variable_shapes(network: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a network's parameters and running statistics by their paths."""
    state = nnx.state(network, (nnx.Param, nnx.BatchStat))
    return {_join(path): variable.shape for path, variable in nnx.to_flat_state(state)}


def find_problems(
    found: Mapping[str, tuple[str, np.ndarray]], targets: Mapping[str, tuple[int, ...]]
) -> list[str]:
    """Return a line for each kind of problem, with its count and all names.

    Args:
        found: name in the file and tensor with our axes, by our paths.
        targets: shapes of the network's variables, by our paths.
    """
    missing = [path for path in targets if path not in found]
    surplus, misshapen, not_floating, not_finite = [], [], [], []
    for path, (name, tensor) in found.items():
        if path not in targets:
            surplus.append(name)
        elif tensor.shape != targets[path]:
            misshapen.append(f"{name} ({tensor.shape} for {targets[path]})")
        if tensor.dtype not in FLOATS:
            not_floating.append(f"{name} ({tensor.dtype})")
        elif not np.isfinite(tensor).all():
            not_finite.append(name)
    kinds = {
        "missing": missing,
        "surplus": surplus,
        "misshapen": misshapen,
        "not floating-point": not_floating,
        "not finite": not_finite,
    }
    return [f"{len(names)} {kind}: {', '.join(names)}" for kind, names in kinds.items() if names]


def _join(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)
