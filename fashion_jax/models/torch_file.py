"""Reads PyTorch's `.pth` files without PyTorch and without running what is in them.

A `.pth` is a pickle that describes tensors, and their raw bytes; in the newer format both lie in
a zip archive, in the older one they follow each other. A pickle can name any function to be
called. Here only those names that rebuild tensors exist; any other is refused, by name.
"""

import collections
import dataclasses
import io
import math
import pathlib
import pickle
import struct
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO

import ml_dtypes
import numpy as np

from fashion_jax.errors import FashionJaxError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001

# What a broken pickle or archive makes the standard library raise.
BROKEN = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


class TorchFileError(FashionJaxError):
    """A `.pth` file that is broken, or holds something other than tensors."""


@dataclasses.dataclass(frozen=True)
class _StorageType:
    """Stands for a class such as `torch.FloatStorage`; cannot be called."""

    dtype: np.dtype


@dataclasses.dataclass(frozen=True)
class _Storage:
    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(type(number) is int for number in numbers):
        raise TorchFileError("a tensor's description is malformed")
    if len(shape) != len(strides) or min(numbers) < 0:
        raise TorchFileError(f"a tensor has shape {shape}, strides {strides} and offset {offset}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # Strides of 0 would let a small file claim a huge tensor.
    if math.prod(shape) > storage.size or (math.prod(shape) > 0 and last >= storage.size):
        raise TorchFileError(
            f"a tensor of shape {shape}, strides {strides} and offset {offset} "
            f"reaches beyond its storage of {storage.size} numbers"
        )
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_STORAGES = {
    "BFloat16Storage": ml_dtypes.bfloat16,
    "BoolStorage": np.bool_,
    "ByteStorage": np.uint8,
    "CharStorage": np.int8,
    "DoubleStorage": np.float64,
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "IntStorage": np.int32,
    "LongStorage": np.int64,
    "ShortStorage": np.int16,
}
_ALLOWED: dict[str, Any] = {
    "collections.OrderedDict": collections.OrderedDict,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    **{f"torch.{name}": _StorageType(np.dtype(dtype)) for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Knows the names in `_ALLOWED` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise TorchFileError(
                f"its pickle asks for {full!r}, which is not part of a tensor; nothing was run. "
                "Save the network's state_dict() alone"
            )
        return _ALLOWED[full]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, size, *_view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise TorchFileError(f"its pickle refers to {kind!r} instead of a tensor's storage")
        if type(size) is not int or size < 0:
            raise TorchFileError(f"storage {key!r} has size {size!r}")
        return _Storage(str(key), storage_type.dtype, size)


def read_torch_file(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Returns the tensors of a state dict, by name.

    Training scripts' wrapping is undone: a state dict may lie under the key `state_dict`.

    Raises:
        TorchFileError: the file is broken or holds anything but tensors; nothing of it is run.
    """
    try:
        with path.open("rb") as file:
            reader = _read_archive if zipfile.is_zipfile(file) else _read_legacy
            file.seek(0)
            return reader(file)
    except TorchFileError as error:
        raise TorchFileError(f"{path}: {error}") from None
    except BROKEN as error:
        raise TorchFileError(
            f"{path} is not a PyTorch file, or a broken one ({type(error).__name__}: {error})"
        ) from error


def _read_archive(file: BinaryIO) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise TorchFileError(f"the archive holds {len(pickles)} files data.pkl instead of one")
        folder = pickles[0].removesuffix("data.pkl")
        _check_byte_order(archive, folder)
        state = _Unpickler(io.BytesIO(archive.read(pickles[0]))).load()

        def read(storage: _Storage) -> bytes:
            name = f"{folder}data/{storage.key}"
            expected = storage.size * storage.dtype.itemsize
            _check_size(storage, archive.getinfo(name).file_size, expected)
            return archive.read(name)

        return _tensors(state, read)


def _check_byte_order(archive: zipfile.ZipFile, folder: str) -> None:
    name = f"{folder}byteorder"
    if name in archive.namelist() and archive.read(name) != b"little":
        raise TorchFileError("its numbers are big-endian; save it on a little-endian machine")


def _read_legacy(file: BinaryIO) -> dict[str, np.ndarray]:
    if _Unpickler(file).load() != LEGACY_MAGIC or _Unpickler(file).load() != LEGACY_PROTOCOL:
        raise TorchFileError("not a PyTorch file")
    if not _Unpickler(file).load().get("little_endian"):
        raise TorchFileError("its numbers are big-endian; save it on a little-endian machine")
    state = _Unpickler(file).load()
    sizes = {tensor.storage.key: tensor.storage for tensor in _state_dict(state).values()}
    data = {}
    for key in _Unpickler(file).load():
        (size,) = struct.unpack("<q", file.read(8))
        if key not in sizes:
            raise TorchFileError(f"storage {key!r} belongs to no tensor")
        _check_size(sizes[key], size, sizes[key].size)
        data[key] = file.read(size * sizes[key].dtype.itemsize)
    return _tensors(state, lambda storage: data[storage.key])


def _check_size(storage: _Storage, found: int, expected: int) -> None:
    if found != expected:
        raise TorchFileError(f"storage {storage.key!r} has size {found}, not {expected}")


def _state_dict(state: Any) -> dict[str, _Tensor]:
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict):
        raise TorchFileError(f"it holds a {type(state).__name__} instead of a state dict")
    wrong = [str(name) for name, value in state.items() if not isinstance(value, _Tensor)]
    if wrong:
        raise TorchFileError(f"{len(wrong)} entries are no tensors: {', '.join(wrong[:20])}")
    return {str(name): value for name, value in state.items()}


def _tensors(state: Any, read: Callable[[_Storage], bytes]) -> dict[str, np.ndarray]:
    return {name: _view(tensor, read) for name, tensor in _state_dict(state).items()}


def _view(tensor: _Tensor, read: Callable[[_Storage], bytes]) -> np.ndarray:
    dtype = tensor.storage.dtype
    data = read(tensor.storage)
    if len(data) != tensor.storage.size * dtype.itemsize:
        raise TorchFileError(f"storage {tensor.storage.key!r} is cut off")
    flat = np.frombuffer(data, dtype)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides).copy()
