"""PyTorch's names and axes of tensors, and those of our variables."""

import numpy as np

# Permutations of axes by rank: [out, in, rows, columns] to [rows, columns, in, out], and back.
_TO_OURS = {2: (1, 0), 4: (2, 3, 1, 0)}
_TO_TORCH = {2: (1, 0), 4: (3, 2, 0, 1)}

_LEAVES = {"running_mean": "mean", "running_var": "var"}
_TORCH_LEAVES = {
    "mean": "running_mean",
    "var": "running_var",
    "kernel": "weight",
    "scale": "weight",
}


def to_ours(name: str, tensor: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the variable's path, joined by dots, and the tensor with its axes."""
    *layers, leaf = name.split(".")
    if leaf == "weight":
        leaf = "scale" if tensor.ndim == 1 else "kernel"
    leaf = _LEAVES.get(leaf, leaf)
    axes = _TO_OURS.get(tensor.ndim) if leaf == "kernel" else None
    return ".".join([*layers, leaf]), tensor if axes is None else tensor.transpose(axes)


def to_torch(path: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    """Return PyTorch's name of a variable, and the array with PyTorch's axes."""
    *layers, leaf = path.split(".")
    axes = _TO_TORCH.get(array.ndim) if leaf == "kernel" else None
    tensor = array if axes is None else np.ascontiguousarray(array.transpose(axes))
    return ".".join([*layers, _TORCH_LEAVES.get(leaf, leaf)]), tensor
