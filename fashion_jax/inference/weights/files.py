"""Files of weights, read as tensors by name; a file is hostile until checked."""

import dataclasses
import pathlib
from collections.abc import Mapping

import numpy as np
import safetensors

from fashion_jax.errors import named
from fashion_jax.files import UnreadableFileError, open_file
from fashion_jax.inference.weights import WeightsError, shown
from fashion_jax.inference.weights.torch_file import read_torch_file
from fashion_jax.inference.weights.weight_map import ConvertedStateDict, convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS

TORCH_ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".bin")
LONGEST_NAME = 500

# What safetensors calls the dtypes that NumPy and JAX both know.
DTYPES = {
    *("F64", "F32", "F16", "BF16", "C64", "BOOL"),
    *("I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"),
}


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
    try:
        file = _read(path)
    except UnreadableFileError as error:
        raise WeightsError(f"{error}; give the path of a .safetensors or PyTorch file") from error
    except MemoryError as error:
        raise WeightsError(f"{path} does not fit into memory; use a larger machine") from error
    problem = _problem(file.tensors)
    if problem:
        raise WeightsError(f"{path}: {problem}")
    return file


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


def _read(path: pathlib.Path) -> WeightsFile:
    if path.suffix in TORCH_ENDINGS:
        state = read_torch_file(path)
        return WeightsFile(path, "PyTorch", state.key, state.tensors)
    if path.suffix == ".safetensors":
        return WeightsFile(path, "safetensors", "", _read_safetensors(path))
    open_file(path).close()
    raise WeightsError(
        f"{path} has another ending than .safetensors and PyTorch's {', '.join(TORCH_ENDINGS)}; "
        "rename it, or save the weights in one of these formats"
    )


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    open_file(path).close()
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            dtypes = {name: file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
            other = [f"{shown(n)} ({kind})" for n, kind in dtypes.items() if kind not in DTYPES]
            if other:
                raise WeightsError(
                    f"{path}: {len(other)} tensors have a dtype that is not read: {named(other)}; "
                    "save them as float32, float16 or bfloat16"
                )
            return {name: file.get_tensor(name) for name in dtypes}
    except (safetensors.SafetensorError, OSError, LookupError, TypeError, ValueError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file, or broken: {shown(str(error))}"
        ) from error


def _problem(tensors: Mapping[str, np.ndarray]) -> str:
    """Say why tensors cannot be shown or used, if so."""
    if not tensors:
        return "it holds no tensors"
    strange = [shown(name) for name in tensors if not _is_plain(name)]
    if strange:
        return (
            f"{len(strange)} names of tensors are empty, have characters that cannot be printed "
            f"or more than {LONGEST_NAME} letters: {named(strange)}; rename the tensors"
        )
    untrue = [name for name, tensor in tensors.items() if not _is_truth(tensor)]
    if untrue:
        return f"{len(untrue)} boolean tensors have bytes other than 0 and 1: {named(untrue)}"
    return ""


def _is_plain(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _is_truth(tensor: np.ndarray) -> bool:
    return tensor.dtype != np.bool_ or not np.any(tensor.view(np.uint8) > 1)
