"""Hostile and odd files of weights by kind, each kind with what its refusal says."""

import io
import json
import struct
import zipfile

import numpy as np

from tests.inference.weights.torch_files import call, legacy, name, plain, state_pickle

NUMBERS = np.arange(4, dtype=np.float32)
STORAGE = {"0": NUMBERS.tobytes()}
KEPT = b"h\xff"  # recalls what `nested` keeps
ORDERED = call(name("collections", "OrderedDict"))
REBUILD = name("torch._utils", "_rebuild_tensor_v2")
FLOATS = name("torch", "FloatStorage")


def archive(pickled: bytes, **members: bytes) -> bytes:
    return zipped({"model/data.pkl": pickled, "model/data/0": STORAGE["0"], **members})


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for member, content in members.items():
            made.writestr(member, content)
    return file.getvalue()


def tensor(**parts: bytes) -> bytes:
    """Four numbers, but for the parts that are given."""
    default = {
        "kind": plain("storage"),
        "type": FLOATS,
        "key": plain("0"),
        "device": plain("cpu"),
        "size": plain(4),
        "view": b"",
        "offset": plain(0),
        "shape": plain((4,)),
        "strides": plain((1,)),
        "grad": plain(False),
        "hooks": ORDERED,
        "metadata": b"",
    }
    part = default | parts
    described = ("kind", "type", "key", "device", "size", "view")
    rest = ("offset", "shape", "strides", "grad", "hooks", "metadata")
    storage = b"(" + b"".join(part[key] for key in described) + b"tQ"
    return call(REBUILD, storage, *(part[key] for key in rest))


def state(value: bytes, before: bytes = b"") -> bytes:
    """A whole file with one entry; `before` leaves nothing on the stack."""
    return archive(b"\x80\x02" + before + state_pickle({"conv1.weight": value})[2:])


def entries(pairs: bytes) -> bytes:
    return archive(b"\x80\x02}(" + pairs + b"u.")


def build(**attributes: object) -> bytes:
    return plain(attributes) + b"b"


def nested(depth: int = 60) -> bytes:
    """Keep a tuple of two tuples of two tuples ...: small here, 2**depth to hash or to show."""
    return b")q\xff0" + b"h\xffh\xff\x86q\xff0" * depth


def tensors_header(**entry: object) -> bytes:
    return safetensors_of(
        {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **entry}}, STORAGE["0"]
    )


def safetensors_of(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def overlapping(copies: int) -> bytes:
    """List one member under several names."""
    file = io.BytesIO(archive(state_pickle({"a": tensor()})))
    with zipfile.ZipFile(file, "a") as made:
        one = made.getinfo("model/data/0")
        for number in range(1, copies):
            other = zipfile.ZipInfo(f"model/data/{number}")
            for field in ("header_offset", "CRC", "compress_size", "file_size"):
                setattr(other, field, getattr(one, field))
            made.filelist.append(other)
        made._didModify = True
    return file.getvalue()


def directory_says(offset: int, form: str, value: int) -> bytes:
    """Change a number of the archive's last entry, the storage."""
    data = bytearray(archive(state_pickle({"a": tensor()})))
    struct.pack_into(form, data, data.rfind(b"PK\x01\x02") + offset, value)
    return bytes(data)


# Attributes of a tensor, a storage, a name, a call: none can be set.
ATTRIBUTES = {
    "far strides": state(tensor() + build(strides=(10**12,))),
    "near strides": state(tensor() + build(strides=(100,))),
    "negative strides": state(tensor() + build(strides=(-(10**10),))),
    "offset": state(tensor() + build(offset=-3)),
    "shape": state(tensor() + build(shape="ab")),
    "slots": state(tensor() + plain((None, {"offset": 7})) + b"b"),
    "dtype of a storage": state(tensor(size=plain(4) + b"tQ" + build(dtype="O") + b"0(")),
    "dtype of a type": state(tensor(type=FLOATS + build(dtype="zz"))),
    "a function": state(tensor(), REBUILD + build(__defaults__=None) + b"0"),
    "a class": state(tensor(), name("torch", "Size") + build(__kwdefaults__=None) + b"0"),
    "a list": state(tensor(), plain([1]) + build(x=1) + b"0"),
    "a number": state(tensor(), plain(1) + build(x=1) + b"0"),
    "a text": state(tensor(), plain("a") + build(x=1) + b"0"),
}

CODES = {
    "NEWOBJ": name("torch", "Size") + b")\x81",
    "NEWOBJ_EX": name("torch", "Size") + b")}\x92",
    "INST": b"(ios\nsystem\n",
    "OBJ": b"(" + name("torch", "Size") + b"o",
    "EXT1": b"\x82\x01",
    "EXT2": b"\x83\x01\x00",
    "EXT4": b"\x84\x01\x00\x00\x00",
    "PERSID": b"Pabc\n",
    "PUT": b"Np1000000000000000000\n",
    "GET": b"g0\n",
    "INT": b"I7\n",
    "LONG": b"L7L\n",
    "FLOAT": b"F1.5\n",
    "UNICODE": b"Va\n",
    "DUP": b"N2",
    "EMPTY_SET": b"\x8f",
    "FROZENSET": b"(N\x91",
    "BYTEARRAY8": b"\x96" + struct.pack("<Q", 1) + b"a",
    "NEXT_BUFFER": b"\x97",
}
OPCODES = {opcode: state(code) for opcode, code in CODES.items()}

# Values that take forever to hash, compare or show, wherever a value can stand.
NESTED = {
    "a tensor's name": archive(b"\x80\x02" + nested() + b"}" + KEPT + tensor() + b"s."),
    "a key beside": state(b"}" + KEPT + b"Ns", nested()),
    "a key of pairs": state(
        call(name("collections", "OrderedDict"), b"]" + KEPT + b"N\x86a"), nested()
    ),
    "a whole file": archive(b"\x80\x02" + nested() + KEPT + b"."),
    "an entry": state(KEPT, nested()),
    "a function": state(KEPT + b")R", nested()),
    "arguments": state(REBUILD + KEPT + b"R", nested()),
    "a persistent id": state(KEPT + b"Q", nested()),
    "a module": state(KEPT + plain("a") + b"\x93", nested()),
    "a size argument": state(
        tensor(shape=call(name("torch", "Size"), call(name("torch", "Size"), KEPT))), nested()
    ),
    **{
        part: state(tensor(**{part: KEPT}), nested())
        for part in ("kind", "type", "key", "size", "view", "offset", "shape", "strides")
    },
    "metadata": state(tensor(metadata=KEPT), nested()),
}
MANY = b"(" + b"N" * 20_000 + b"tq\xff0"
# Values that nothing looks at, or that cost nothing.
HARMLESS = {
    part: state(tensor(**{part: KEPT}), nested()) for part in ("device", "grad", "hooks")
} | {
    "beside": archive(
        b"\x80\x02"
        + nested()
        + state_pickle({"model": state_pickle({"a": tensor()})[2:-1], "config": KEPT})[2:]
    ),
    "attributes of a dict": state(tensor(hooks=ORDERED + plain({"_metadata": {}}) + b"b")),
    "a large memo index": state(tensor() + b"r" + struct.pack("<I", 2**32 - 1)),
    "20,000 axes, often": state(
        tensor(), MANY + (name("torch", "Size") + KEPT + b"\x85R0") * 10_000
    ),
    "many memo indices": state(
        tensor() + b"".join(b"r" + struct.pack("<I", k * 10**8) for k in range(40))
    ),
}

DEEP = {
    "lists": archive(b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."),
    "tuples": archive(b"\x80\x02)" + b"\x85" * 50_000 + b"."),
    "dicts": archive(b"\x80\x02" + (b"}" + plain("model")) * 20_000 + b"}" + b"s" * 20_000 + b"."),
    "marks": archive(b"\x80\x02" + b"(" * 50_000 + b"."),
    "itself": archive(b"\x80\x02}q\xff" + plain("model") + KEPT + b"s."),
}

PAIRS = b"](" + b"K\x01N\x86" * 10_000 + b"eq\xff0"
COSTLY = {
    "20,000 arguments": state(tensor(), MANY + REBUILD + KEPT + b"R0"),
    "20,000 axes": state(tensor(shape=KEPT, strides=KEPT), MANY),
    "10,000 pairs, often": state(
        tensor(), PAIRS + (name("collections", "OrderedDict") + KEPT + b"\x85R0") * 10_000
    ),
    "keys that collide": entries(b"".join(plain(k * (2**61 - 1)) + b"N" for k in range(20_000))),
    "an integer of a megabyte": state(tensor(shape=b"\x8b\x00\x00\x10\x00" + b"\x01" * 2**20)),
    "an integer of 300 bits": state(tensor(offset=plain(2**300))),
    "text of 2**60 bytes": archive(b"\x80\x04\x8d" + struct.pack("<Q", 2**60) + b"a."),
    "bytes of 2**31": archive(b"\x80\x04B" + struct.pack("<I", 2**31) + b"a."),
    "an integer of 2**31 bytes": archive(b"\x80\x04\x8b" + struct.pack("<i", 2**31 - 1) + b"a."),
}

GEOMETRY = {
    f"{part} {value!r}": state(tensor(**{part: plain(value)}))
    for part, values in {
        "size": (-1, 3, 5, 2**62, 2**63, 1.5, None, True, "4"),
        "offset": (-1, 1, 4, 2**40, 2**63, 0.0, None, False, "0"),
        "shape": ((-1,), (5,), (2**62,), (2**63,), (1.5,), (None,), (True,), ("4",), [4], 4, None),
        "strides": ((-1,), (2,), (2**62,), (2**63,), (1.0,), (None,), (), (1, 1), [1], "1"),
        "key": (0, None, "", "1", "../data.pkl", "x" * 300, b"0", ("0",)),
    }.items()
    for value in values
} | {
    f"{shape}, {strides}, {offset}": state(
        tensor(shape=plain(shape), strides=plain(strides), offset=plain(offset))
    )
    for shape, strides, offset in (
        ((2, 2), (2, 2), 0),
        ((2, 2), (4, 1), 0),
        ((4, 1), (1, 2**62), 1),
        ((1,) * 33, (1,) * 33, 0),
        ((10**9, 10**9), (0, 0), 0),
        ((2**62, 4), (0, 1), 0),
        ((0, 2**62), (1, 1), 0),
        ((0,), (1,), 5),
        ((0,), (-1,), 0),
        ((65,), (0,), 0),
    )
}

NAMES = {
    "escapes": "\x1b[2J\x1b]0;owned\x07conv",
    "a line's end": "conv\nweight",
    "half a character": "a\ud800",
    "letters from right to left": "a\u202eb",
    "a NUL": "a\0",
    "nothing": "",
    "600 letters": "a" * 600,
    "a megabyte": "a" * 10**6,
}

ZIPS = {
    "two names of one member": overlapping(2),
    "hundred names of one member": overlapping(100),
    "two members of one name": archive(
        state_pickle({"a": tensor()}), **{"model/data/1": STORAGE["0"]}
    ).replace(b"model/data/1", b"model/data/0"),
    "a member beyond the file": directory_says(42, "<I", 10**6),
    "a larger member": directory_says(20, "<I", 10**6),
    "a member that unpacks": directory_says(24, "<I", 10**6),
    "a member of another method": directory_says(10, "<H", 99),
    "an encrypted member": directory_says(8, "<H", 1),
    "a false checksum": directory_says(16, "<I", 1),
    "compressed": zipped(
        {"m/data.pkl": state_pickle({"a": tensor()}), "m/data/0": b"\0" * 16},
        zipfile.ZIP_DEFLATED,
    ),
    "two pickles": archive(state_pickle({"a": tensor()}), **{"other/data.pkl": b"N."}),
    "no pickle": zipped({"model/data/0": STORAGE["0"]}),
    "no storage": zipped({"model/data.pkl": state_pickle({"a": tensor()})}),
    "a short storage": zipped({"m/data.pkl": state_pickle({"a": tensor()}), "m/data/0": b"\0" * 8}),
    "a long storage": zipped({"m/data.pkl": state_pickle({"a": tensor()}), "m/data/0": b"\0" * 80}),
    "big numbers": archive(state_pickle({"a": tensor()}), **{"model/byteorder": b"big"}),
    "only the first bytes": b"PK\x03\x04",
}

VIEW = {"view": b"N"}  # older files say that a storage is not a view


def legacy_with(keys: object, size: int | None = None, cut: int = 0) -> bytes:
    data = legacy(state_pickle({"a": tensor(**VIEW)}), {"0": NUMBERS})
    listed, rest = plain(["0"]) + b".", struct.pack("<q", 4) + STORAGE["0"]
    assert data.endswith(listed + rest)
    new = plain(keys) + b"." + struct.pack("<q", 4 if size is None else size) + STORAGE["0"]
    data = data.removesuffix(listed + rest) + new
    return data[: len(data) - cut]


LEGACY = {
    "size -1": legacy_with(["0"], -1),
    "size 2**62": legacy_with(["0"], 2**62),
    "another size": legacy_with(["0"], 3),
    "an unknown key": legacy_with(["7"]),
    "no key": legacy_with([]),
    "a key twice": legacy_with(["0", "0"]),
    "a key that is a list": legacy_with([["0"]]),
    "keys that are a dict": legacy_with({"0": 1}),
    "keys that are a number": legacy_with(3),
    "no last byte": legacy_with(["0"], cut=1),
    "no storage": legacy_with(["0"], cut=16),
    "half a size": legacy_with(["0"], cut=20),
    "more than it holds": legacy(
        state_pickle({"a": tensor(size=plain(2**40), **VIEW)}), {"0": NUMBERS}
    ),
    "nothing": b"",
    "text": b"hello\n" * 100,
}

DTYPES = {
    kind: tensors_header(dtype=kind, shape=[128 // bits])
    for kind, bits in {"F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F4": 4}.items()
}
STORAGES = {
    kind: state(tensor(type=f"ctorch\n{kind}\n".encode()))
    for kind in (
        *("Float8_e4m3fnStorage", "ComplexFloatStorage", "QInt8Storage", "QUInt8Storage"),
        *("UntypedStorage", "Tensor", "float8_e5m2"),
    )
}

SAFETENSORS = {
    "an unknown dtype": tensors_header(dtype="X"),
    "a negative size": tensors_header(shape=[-4]),
    "an overflow": tensors_header(shape=[2**40, 2**40]),
    "nothing, hugely": tensors_header(shape=[0, 2**62], data_offsets=[0, 0])[:-16],
    "half a character": safetensors_of(
        b'{"a\\ud800":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}', STORAGE["0"]
    ),
    "deep JSON": safetensors_of(b'{"a":' * 50_000 + b"1" + b"}" * 50_000, b""),
    "a long header": struct.pack("<Q", 2**63 + 1) + b"{}",
    "no tensors": safetensors_of({}, b""),
    "nothing": b"",
    "hundred axes": tensors_header(shape=[4] + [1] * 100),
    "truth of 255": tensors_header(dtype="BOOL", shape=[16]),
    **{
        f"name: {kind}": safetensors_of(
            {text: {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, STORAGE["0"]
        )
        for kind, text in NAMES.items()
        if kind != "half a character"
    },
}
