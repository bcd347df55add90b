"""PyTorch's `.pth` files, read without PyTorch and without running code in them.

A `.pth` is a pickle that describes tensors, and their raw bytes; in the newer format both lie in
a zip archive, in the older one they follow each other. `torch_pickle` reads the pickle.
"""

import io
import os
import pathlib
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from fashion_jax.errors import named
from fashion_jax.files import open_file
from fashion_jax.inference.weights import WeightsError, shown
from fashion_jax.inference.weights.torch_pickle import read_pickle
from fashion_jax.inference.weights.torch_tensors import Storage, TensorView

ZIP_MAGIC = b"PK\x03\x04"
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
BIG_ENDIAN = "its numbers are big-endian; save it on a little-endian machine"
LARGEST_PICKLE = 2**26  # bytes; weights are stored outside the pickle
MOST_SHARING = 16  # bytes of tensors per byte of the file; tied weights share a storage
LOCAL_HEADER = 30  # bytes before a member of an archive, without its name

# Exceptions that the standard library raises for a broken archive.
BROKEN = (
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


class StateDict(NamedTuple):
    """Tensors by name.

    Attributes:
        tensors: read-only tensors with the file's axes; tied ones share memory.
        key: their key in a training checkpoint; empty for a state dict alone.
    """

    tensors: dict[str, np.ndarray]
    key: str = ""


# Keys under which training scripts put the weights; the first one present applies.
STATE_DICT_KEYS = ("state_dict", "model", "model_state_dict", "net", "network", "teacher")


def read_torch_file(path: pathlib.Path) -> StateDict:
    """Read the tensors of a state dict, alone or inside a training checkpoint.

    Raises:
        UnreadableFileError: for a path that is not a readable file.
        WeightsError: for a file that is broken or holds anything but tensors.
    """
    with open_file(path) as file:
        try:
            reader = _read_archive if file.read(len(ZIP_MAGIC)) == ZIP_MAGIC else _read_legacy
            file.seek(0)
            return reader(file, os.fstat(file.fileno()).st_size)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
        except BROKEN as error:
            raise WeightsError(
                f"{path} is not a PyTorch file, or a broken one "
                f"({type(error).__name__}: {shown(str(error))})"
            ) from error


def _read_archive(file: BinaryIO, size: int) -> StateDict:
    with zipfile.ZipFile(file) as archive:
        _require_separate(archive, size)
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        if len(pickles) != 1:
            raise WeightsError(f"the archive holds {len(pickles)} files data.pkl instead of one")
        folder = pickles[0].removesuffix("data.pkl")
        byte_order = f"{folder}byteorder"
        if byte_order in archive.namelist() and _member(archive, byte_order) != b"little":
            raise WeightsError(BIG_ENDIAN)
        if archive.getinfo(pickles[0]).file_size > LARGEST_PICKLE:
            raise WeightsError(f"its pickle has more than {LARGEST_PICKLE:,} bytes")
        state, key = _state_dict(read_pickle(io.BytesIO(_member(archive, pickles[0]))).value)
        needed = {view.storage.key for view in state.values()}
        data = {key: _member(archive, f"{folder}data/{key}") for key in needed}
    return StateDict(_tensors(state, data), key)


def _require_separate(archive: zipfile.ZipFile, size: int) -> None:
    """Refuse members that overlap: a small file could hold any number of large ones."""
    end = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise WeightsError(f"its member {shown(info.filename)} lies inside another one")
        end = info.header_offset + LOCAL_HEADER + info.compress_size
    if end > size:
        raise WeightsError(f"its members end at byte {end:,}, but it has {size:,} bytes")
    if len(set(archive.namelist())) != len(archive.namelist()):
        raise WeightsError("it holds two members of one name")


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    if name not in archive.NameToInfo:
        raise WeightsError(f"it lacks the member {shown(name)}")
    # PyTorch never compresses; a compressed member could unpack to any size.
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        raise WeightsError(f"{shown(name)} is compressed, which PyTorch never does")
    return archive.read(name)


def _read_legacy(file: BinaryIO, size: int) -> StateDict:
    head = io.BytesIO(file.read(LARGEST_PICKLE))
    if read_pickle(head).value != LEGACY_MAGIC or read_pickle(head).value != LEGACY_PROTOCOL:
        raise WeightsError("it lacks the header of a PyTorch file")
    system = read_pickle(head).value
    if type(system) is not dict or system.get("little_endian") is not True:
        raise WeightsError(BIG_ENDIAN)
    pickled = read_pickle(head)
    state, key = _state_dict(pickled.value)
    keys = read_pickle(head).value
    if type(keys) is not list or any(type(name) is not str for name in keys):
        raise WeightsError("the list of its storages is malformed")
    if len(set(keys)) != len(keys) or set(keys) != set(pickled.storages):
        raise WeightsError("the list of its storages differs from those that its tensors name")
    file.seek(head.tell())
    data = {name: _legacy_storage(file, pickled.storages[name], size) for name in keys}
    return StateDict(_tensors(state, data), key)


def _legacy_storage(file: BinaryIO, storage: Storage, end: int) -> bytes:
    (size,) = struct.unpack("<q", file.read(8))
    length = storage.size * storage.dtype.itemsize
    if size != storage.size or length > end - file.tell():
        raise WeightsError(
            f"storage {shown(storage.key)} holds {size} numbers in {end - file.tell():,} "
            f"bytes, not {storage.size}"
        )
    return file.read(length)


def _state_dict(loaded: Any) -> tuple[dict[str, TensorView], str]:
    """Return the value of the first key of `STATE_DICT_KEYS`, or else everything, and the key."""
    if type(loaded) is not dict:
        raise WeightsError(f"it holds a {type(loaded).__name__} instead of a state dict")
    keys = [key for key in STATE_DICT_KEYS if type(loaded.get(key)) is dict]
    key = keys[0] if keys else ""
    state = loaded[key] if key else loaded
    wrong = [shown(name) for name, view in state.items() if not isinstance(view, TensorView)]
    if not state:
        raise WeightsError("it holds no tensors")
    if wrong:
        raise WeightsError(
            f"{len(wrong)} entries are not tensors: {named(wrong)}; a state dict has to be "
            f"alone in the file, or under one of the keys {', '.join(STATE_DICT_KEYS)}"
        )
    strange = [shown(name) for name in state if type(name) is not str]
    if strange:
        raise WeightsError(f"{len(strange)} names are not texts: {named(strange)}")
    return state, key


def _tensors(state: Mapping[str, TensorView], data: Mapping[str, bytes]) -> dict[str, np.ndarray]:
    claimed = sum(view.nbytes for view in state.values())
    held = sum(len(data[key]) for key in {view.storage.key for view in state.values()})
    if claimed > MOST_SHARING * held:
        most = max(state, key=lambda name: state[name].nbytes)
        raise WeightsError(
            f"its tensors claim {claimed:,} bytes (the largest is {shown(most)}), but it holds "
            f"{held:,}; numbers may be shared {MOST_SHARING} times. Save copies: torch.save("
            "{name: tensor.clone() for name, tensor in model.state_dict().items()}, 'weights.pth')"
        )
    return {name: view.read(data[view.storage.key]) for name, view in state.items()}
