"""Reads files of weights, whatever their format; they are hostile until checked."""

import dataclasses
import pathlib

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.weights.torch_file import read_torch_file

TORCH_ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".bin")
FLOATS = tuple(np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))


class WeightsFileError(FashionJaxError):
    """A file of weights that cannot be read."""


@dataclasses.dataclass(frozen=True)
class WeightsFile:
    """What a file holds.

    Attributes:
        path: of the file.
        format: `safetensors` or `PyTorch`.
        key: under which the tensors lay in a training checkpoint; empty where there is none.
        tensors: by their names in the file, with its axes.
    """

    path: pathlib.Path
    format: str
    key: str
    tensors: dict[str, np.ndarray]


def read_weights(path: pathlib.Path) -> WeightsFile:
    """Reads a file of weights.

    Raises:
        WeightsFileError: there is no such file, its ending is another, or it is broken.
        TorchFileError: a PyTorch file is broken, or holds more than tensors.
    """
    if not path.is_file():
        raise WeightsFileError(
            f"there is no file {path}; give the path of a .safetensors or PyTorch file"
        )
    if path.suffix in TORCH_ENDINGS:
        state = read_torch_file(path)
        return WeightsFile(path, "PyTorch", state.key, state.tensors)
    if path.suffix == ".safetensors":
        return WeightsFile(path, "safetensors", "", _read_safetensors(path))
    raise WeightsFileError(
        f"{path} ends neither with .safetensors nor with one of {', '.join(TORCH_ENDINGS)}"
    )


def _read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load_file(path)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise WeightsFileError(f"{path} is not a safetensors file, or broken: {error}") from error
