"""Files of weights, read as tensors by name; a file is hostile until checked."""

import dataclasses
import pathlib

import numpy as np
import safetensors
import safetensors.numpy

from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.torch_file import read_torch_file
from fashion_jax.inference.weights.weight_map import ConvertedStateDict, convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS

TORCH_ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".bin")


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """Contents of a file.

    Attributes:
        path: path of the file.
        format: `safetensors` or `PyTorch`.
        key: key of the tensors in a training checkpoint; empty for a state dict alone.
        tensors: tensors by their names in the file, with its axes.
    """

    path: pathlib.Path
    format: str
    key: str
    tensors: dict[str, np.ndarray]


def read_weights(path: pathlib.Path) -> WeightsFile:
    """Read a file of weights.

    Raises:
        WeightsError: for a missing or broken file, another ending, or a PyTorch file that holds
            more than tensors.
    """
    if not path.is_file():
        raise WeightsError(f"no file {path}; give the path of a .safetensors or PyTorch file")
    if path.suffix in TORCH_ENDINGS:
        state = read_torch_file(path)
        return WeightsFile(path, "PyTorch", state.key, state.tensors)
    if path.suffix == ".safetensors":
        return WeightsFile(path, "safetensors", "", _read_safetensors(path))
    raise WeightsError(
        f"{path} has another ending than .safetensors and PyTorch's {', '.join(TORCH_ENDINGS)}; "
        "rename it, or save the weights in one of these formats"
    )


def read_state_dict(path: pathlib.Path) -> ConvertedStateDict:
    """Read a file of weights, and give its tensors our names.

    Raises:
        WeightsError: for a file that cannot be read, or names of no known framework.
    """
    file = read_weights(path)
    try:
        return convert_state_dict(file.tensors, WEIGHT_MAPS)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} is not a safetensors file, or broken: {error}") from error
