"""Writes PyTorch files without PyTorch, well-formed and hostile, opcode by opcode."""

import dataclasses
import io
import pickle
import struct
import zipfile

import numpy as np


@dataclasses.dataclass(frozen=True)
class Entry:
    """A tensor as its pickle describes it; by default a whole storage in its natural order."""

    values: np.ndarray
    key: str = "0"
    kind: str = "FloatStorage"
    shape: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    offset: int = 0
    size: int | None = None


def plain(value: object) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def name(module: str, attribute: str) -> bytes:
    return b"c" + f"{module}\n{attribute}\n".encode()


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def tensor(entry: Entry) -> bytes:
    size = entry.values.size if entry.size is None else entry.size
    shape = entry.values.shape if entry.shape is None else entry.shape
    strides = entry.strides
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    kind = name("torch", entry.kind)
    storage = b"(" + plain("storage") + kind + plain(entry.key) + plain("cpu") + plain(size)
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage + b"tQ",
        plain(entry.offset),
        plain(shape),
        plain(strides),
        plain(False),
        call(name("collections", "OrderedDict")),
    )


def state_pickle(items: dict[str, bytes]) -> bytes:
    body = b"".join(plain(key) + value for key, value in items.items())
    return b"\x80\x02}(" + body + b"u."


def archive(
    pickled: bytes, storages: dict[str, bytes], compression: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        zipped.writestr("model/data.pkl", pickled)
        zipped.writestr("model/byteorder", "little")
        for key, data in storages.items():
            zipped.writestr(f"model/data/{key}", data)
    return file.getvalue()


def legacy(pickled: bytes, storages: dict[str, np.ndarray], little_endian: bool = True) -> bytes:
    head = [
        0x1950A86A20F9469CFC6C,
        1001,
        {"protocol_version": 1001, "little_endian": little_endian},
    ]
    parts = [pickle.dumps(part, 2) for part in head]
    parts += [pickled, pickle.dumps([*storages], 2)]
    for values in storages.values():
        parts += [struct.pack("<q", values.size), values.tobytes()]
    return b"".join(parts)


def archive_of(items: dict[str, Entry]) -> bytes:
    pickled = state_pickle({key: tensor(entry) for key, entry in items.items()})
    return archive(pickled, {entry.key: entry.values.tobytes() for entry in items.values()})


def legacy_of(items: dict[str, Entry]) -> bytes:
    pickled = state_pickle({key: tensor(entry) for key, entry in items.items()})
    return legacy(pickled, {entry.key: entry.values for entry in items.values()})
