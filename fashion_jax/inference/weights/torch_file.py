"""PyTorch's `.pth` files, read without PyTorch and without running code in them.

A `.pth` is a pickle that describes tensors, and their raw bytes; in the newer format both lie in
a zip archive, in the older one they follow each other. A pickle can name any function to be
called. Here only the names that rebuild tensors exist; any other is refused by name.
"""

import collections
import dataclasses
import io
import math
import pathlib
import pickle
import struct
import zipfile
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from fashion_jax.inference.weights import WeightsError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
BIG_ENDIAN = "its numbers are big-endian; save it on a little-endian machine"
MOST_SHARING = 4  # bytes of tensors per byte of the file; tied weights share a storage

# Exceptions that the standard library raises for a broken pickle or archive.
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
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclasses.dataclass(frozen=True)
class _StorageType:
    """Stand-in for a class such as `torch.FloatStorage`; cannot be called."""

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
        raise WeightsError("a tensor's description is malformed")
    if len(shape) != len(strides) or min(numbers) < 0:
        raise WeightsError(f"a tensor has shape {shape}, strides {strides} and offset {offset}")
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # Strides of 0 would let a small file claim a huge tensor.
    if math.prod(shape) > storage.size or (math.prod(shape) > 0 and last >= storage.size):
        raise WeightsError(
            f"a tensor of shape {shape}, strides {strides} and offset {offset} "
            f"reaches beyond its storage of {storage.size} numbers"
        )
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _rebuild_parameter(tensor: Any, *_: Any) -> Any:
    return tensor


def _rebuild_size(numbers: Any) -> tuple[Any, ...]:
    return tuple(numbers)


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
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch.Size": _rebuild_size,
    **{f"torch.{name}": _StorageType(np.dtype(dtype)) for name, dtype in _STORAGES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Unpickler that knows the names in `_ALLOWED` and no others.

    Attributes:
        storages: storages that the pickle refers to, by key.
    """

    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full not in _ALLOWED:
            raise WeightsError(
                f"its pickle asks for {full!r}, which is not part of a tensor; nothing was run. "
                "Where you trust the file, save the weights alone with PyTorch: "
                "torch.save(model.state_dict(), 'weights.pth')"
            )
        return _ALLOWED[full]

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, size, *view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType):
            raise WeightsError(f"its pickle refers to {kind!r} instead of a tensor's storage")
        if type(size) is not int or size < 0 or any(view):
            raise WeightsError(f"storage {key!r} has size {size!r} and is a view of {view}")
        storage = _Storage(str(key), storage_type.dtype, size)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise WeightsError(f"storage {key!r} is described in two ways")
        return storage


class StateDict(NamedTuple):
    """Tensors by name.

    Attributes:
        tensors: tensors with the file's axes.
        key: their key in a training checkpoint; empty for a state dict alone.
    """

    tensors: dict[str, np.ndarray]
    key: str = ""


# Keys under which training scripts put the weights; the first one present applies.
STATE_DICT_KEYS = ("state_dict", "model", "model_state_dict", "net", "network", "teacher")


def read_torch_file(path: pathlib.Path) -> StateDict:
    """Read the tensors of a state dict, alone or inside a training checkpoint.

    Raises:
        WeightsError: for a file that is broken or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            reader = _read_archive if zipfile.is_zipfile(file) else _read_legacy
            file.seek(0)
            return reader(file)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except BROKEN as error:
        raise WeightsError(
            f"{path} is not a PyTorch file, or a broken one ({type(error).__name__}: {error})"
        ) from error


def _read_archive(file: io.BufferedIOBase) -> StateDict:
    with zipfile.ZipFile(file) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"the archive holds {len(pickles)} files data.pkl instead of one")
        folder = pickles[0].removesuffix("data.pkl")
        byte_order = f"{folder}byteorder"
        if byte_order in archive.namelist() and _member(archive, byte_order) != b"little":
            raise WeightsError(BIG_ENDIAN)
        unpickler = _Unpickler(io.BytesIO(_member(archive, pickles[0])))
        state, wrapped = _state_dict(unpickler.load())
        needed = {tensor.storage.key: tensor.storage for tensor in state.values()}
        data = {key: _member(archive, f"{folder}data/{key}") for key in needed}
        return StateDict(_tensors(state, data), wrapped)


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    # PyTorch never compresses; a compressed member could unpack to any size.
    if archive.getinfo(name).compress_type != zipfile.ZIP_STORED:
        raise WeightsError(f"{name} is compressed, which PyTorch never does")
    return archive.read(name)


def _read_legacy(file: io.BufferedIOBase) -> StateDict:
    if _Unpickler(file).load() != LEGACY_MAGIC or _Unpickler(file).load() != LEGACY_PROTOCOL:
        raise WeightsError("it lacks the header of a PyTorch file")
    if not _Unpickler(file).load()["little_endian"]:
        raise WeightsError(BIG_ENDIAN)
    unpickler = _Unpickler(file)
    state, wrapped = _state_dict(unpickler.load())
    data = {}
    for key in _Unpickler(file).load():
        storage = unpickler.storages[key]
        (size,) = struct.unpack("<q", file.read(8))
        if size != storage.size:
            raise WeightsError(f"storage {key!r} holds {size} numbers, not {storage.size}")
        data[key] = file.read(size * storage.dtype.itemsize)
    return StateDict(_tensors(state, data), wrapped)


def _state_dict(loaded: Any) -> tuple[dict[str, _Tensor], str]:
    """Return the value of the first key of `STATE_DICT_KEYS`, or else everything, and the key."""
    if not isinstance(loaded, dict):
        raise WeightsError(f"it holds a {type(loaded).__name__} instead of a state dict")
    keys = [key for key in STATE_DICT_KEYS if isinstance(loaded.get(key), dict)]
    key = keys[0] if keys else ""
    state = loaded[key] if key else loaded
    wrong = [str(name) for name, value in state.items() if not isinstance(value, _Tensor)]
    if wrong or not state:
        raise WeightsError(
            f"{len(wrong)} entries are not tensors: {', '.join(wrong)}; a state dict has to be "
            f"alone in the file, or under one of the keys {', '.join(STATE_DICT_KEYS)}"
        )
    return {str(name): value for name, value in state.items()}, key


def _tensors(state: dict[str, _Tensor], data: dict[str, bytes]) -> dict[str, np.ndarray]:
    claimed = sum(
        math.prod(tensor.shape) * tensor.storage.dtype.itemsize for tensor in state.values()
    )
    held = sum(len(part) for part in data.values())
    # Thousands of tensors of one storage would exhaust the memory.
    if claimed > MOST_SHARING * held:
        raise WeightsError(f"its tensors claim {claimed} bytes, but it holds {held}")
    return {name: _view(tensor, data[tensor.storage.key]) for name, tensor in state.items()}


def _view(tensor: _Tensor, data: bytes) -> np.ndarray:
    dtype = tensor.storage.dtype
    if len(data) != tensor.storage.size * dtype.itemsize:
        raise WeightsError(
            f"storage {tensor.storage.key!r} holds {len(data)} bytes, "
            f"not {tensor.storage.size} x {dtype.itemsize}"
        )
    flat = np.frombuffer(data, dtype)[tensor.offset :]
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.lib.stride_tricks.as_strided(flat, tensor.shape, strides).copy()
