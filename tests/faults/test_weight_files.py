"""Files of weights from strangers: read, or refused by name; no crash, no hang, no huge memory."""

import json
import os
import pathlib
import random
import struct
import subprocess
import sys

import numpy as np
import pytest

from fashion_jax.files import UnreadableFileError
from fashion_jax.inference.weights import WeightsError, torch_file, torch_pickle
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.origin import file_origin
from tests.faults import weight_files
from tests.faults.weight_files import NUMBERS, archive, state, tensor
from tests.inference.weights.torch_files import legacy, plain, state_pickle

# Reads all files of a folder in a process of its own, each followed by a good one.
READER = """
import json, pathlib, resource, sys
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.weights.files import read_weights
held = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + 2**29,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
good = pathlib.Path(sys.argv[2])
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    print(json.dumps(path.name), end="\\t", flush=True)
    try:
        outcome = "read " + " ".join(str(t.sum()) for t in read_weights(path).tensors.values())
    except FashionJaxError as error:
        outcome = f"{type(error).__name__}: {error}"
    assert read_weights(good).tensors["conv1.weight"].tolist() == [0, 1, 2, 3]
    print(json.dumps(outcome), flush=True)
"""


def outcomes(folder: pathlib.Path, files: dict[str, bytes]) -> dict[str, str]:
    """What became of each file; those after a crash are missing."""
    if not pathlib.Path("/proc/self/statm").exists():
        pytest.skip("SKIPPED FOR WANT OF LINUX: the memory of the process cannot be bounded")
    (folder / "files").mkdir()
    (folder / "good.pth").write_bytes(state(tensor()))
    for name, content in files.items():
        (folder / "files" / name).write_bytes(content)
    command = [sys.executable, "-c", READER, str(folder / "files"), str(folder / "good.pth")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{lines[-1:]} ended the process: {done.stderr}"
    return dict(map(json.loads, line.split("\t")) for line in lines)


# Kinds of files, and what is said of every file of a kind.
KINDS = {
    "attributes": (weight_files.ATTRIBUTES, "sets attributes (opcode BUILD)"),
    "opcodes": (weight_files.OPCODES, "has the opcode"),
    "nested": (weight_files.NESTED, ""),
    "deep": (weight_files.DEEP, ""),
    "costly": (weight_files.COSTLY, ""),
    "geometry": (weight_files.GEOMETRY, ""),
    "zips": (weight_files.ZIPS, ""),
    "legacy": (weight_files.LEGACY, ""),
    "names": (
        {
            kind: archive(state_pickle({text: tensor()}))
            for kind, text in weight_files.NAMES.items()
        },
        "1 names of tensors are empty",
    ),
    "storages": (weight_files.STORAGES, "its pickle asks for 'torch."),
    "safetensors": (weight_files.SAFETENSORS, ""),
    "safetensors' dtypes": (weight_files.DTYPES, "1 tensors have a dtype that is not read: a (F"),
}
FILES = {
    f"{kind}, {case}".replace("/", "|"): content
    for kind, (cases, _) in KINDS.items()
    for case, content in cases.items()
}


def named_files(files: dict[str, bytes]) -> dict[str, bytes]:
    """Files by names that file systems take."""
    numbered = enumerate(files.items())
    return {
        f"{number:03}.{'safetensors' if kind.startswith('safetensors') else 'pth'}": content
        for number, (kind, content) in numbered
    }


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of `FILES`."""
    found = outcomes(tmp_path_factory.mktemp("hostile"), named_files(FILES))
    return dict(zip(FILES, found.values(), strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_kind_is_refused(kind, refused):
    cases, message = KINDS[kind]
    assert len(cases) >= 4
    for case in cases:
        outcome = refused[f"{kind}, {case}".replace("/", "|")]
        assert outcome.startswith("WeightsError: "), (case, outcome)
        assert message in outcome, (case, outcome)
        assert "does not fit into memory" not in outcome, (case, outcome)
        assert outcome.isprintable(), (case, outcome)
        assert len(outcome) < 600, (case, outcome)


@pytest.mark.parametrize("opcode", weight_files.OPCODES)
def test_opcodes_are_refused_by_name(opcode, refused):
    assert f"the opcode {opcode} at byte" in refused[f"opcodes, {opcode}"]


def test_strange_names_are_shown_escaped(refused):
    for kind in ("names", "safetensors, name:"):
        separator = " " if kind.endswith(":") else ", "
        assert r"'\x1b[2J\x1b]0;owned\x07conv'" in refused[f"{kind}{separator}escapes"]
    assert r"'a\ud800'" in refused["names, half a character"]


def test_what_costs_nothing_is_read(tmp_path):
    found = outcomes(tmp_path, named_files(weight_files.HARMLESS))
    assert dict(zip(weight_files.HARMLESS, found.values(), strict=True)) == dict.fromkeys(
        weight_files.HARMLESS, "read 6.0"
    )


def save(folder: pathlib.Path, content: bytes, name: str = "a.pth") -> pathlib.Path:
    (folder / name).write_bytes(content)
    return folder / name


def test_tied_and_expanded_tensors_are_read(tmp_path):
    tied = {f"layer{number}": tensor() for number in range(12)}
    path = save(tmp_path, archive(state_pickle(tied)))
    found = read_weights(path).tensors
    assert list(found) == list(tied)
    assert all(value.tolist() == NUMBERS.tolist() for value in found.values())
    assert len({value.ctypes.data for value in found.values()}) == 1
    expanded = tensor(shape=plain((3, 4)), strides=plain((0, 1)))
    found = read_weights(save(tmp_path, state(expanded))).tensors["conv1.weight"]
    np.testing.assert_array_equal(found, [NUMBERS] * 3)


@pytest.mark.parametrize("times", [17, 1000])
def test_too_much_sharing_is_refused_by_name(tmp_path, times):
    for pickled in (
        state_pickle({f"a{number}": tensor() for number in range(times)}),
        state_pickle({"a0": tensor(shape=plain((times, 4)), strides=plain((0, 1)))}),
    ):
        path = save(tmp_path, archive(pickled))
        with pytest.raises(WeightsError, match=rf"claim {16 * times:,} bytes.*a0.*holds 16.*clone"):
            read_weights(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "expected"),
    [
        ((), (), 3, 3.0),
        ((2, 2), (1, 2), 0, [[0, 2], [1, 3]]),
        ((2,), (3,), 0, [0, 3]),
        ((1, 1), (2**62, 1), 2, [[2]]),
        ((0, 3), (3, 1), 4, np.zeros((0, 3)).tolist()),
    ],
)
def test_odd_views_within_bounds_are_read(tmp_path, shape, strides, offset, expected):
    parts = {"shape": plain(shape), "strides": plain(strides), "offset": plain(offset)}
    found = read_weights(save(tmp_path, state(tensor(**parts)))).tensors["conv1.weight"]
    assert found.shape == shape
    assert found.tolist() == expected


def test_a_negated_view_is_not_read_as_its_storage(tmp_path):
    path = save(tmp_path, state(tensor(metadata=plain({"neg": True}))))
    with pytest.raises(WeightsError, match="negated"):
        read_weights(path)


def test_two_descriptions_of_a_storage_are_refused(tmp_path):
    other = tensor(type=b"ctorch\nIntStorage\n")
    path = save(tmp_path, archive(state_pickle({"a": tensor(), "b": other})))
    with pytest.raises(WeightsError, match="storage 0 is described in two ways"):
        read_weights(path)


def test_the_work_of_a_pickle_is_bounded(tmp_path, monkeypatch):
    path = save(tmp_path, state(tensor()))
    monkeypatch.setattr(torch_pickle, "MOST_OPCODES", 10)
    with pytest.raises(WeightsError, match="more than 10 opcodes"):
        read_weights(path)
    monkeypatch.setattr(torch_file, "LARGEST_PICKLE", 20)
    with pytest.raises(WeightsError, match="more than 20 bytes"):
        read_weights(path)


def test_names_that_are_not_texts_are_refused(tmp_path):
    for key in (b"N", plain(1), plain(1.5), b"\x88"):
        path = save(tmp_path, weight_files.entries(key + tensor()))
        with pytest.raises(WeightsError, match="1 names are not texts"):
            read_weights(path)


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ".bin", ".txt", ""])
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a device", "No such file", "levels of"])
def test_what_is_not_a_file_is_named(tmp_path, ending, kind):
    path = tmp_path / f"weights{ending}"
    make = {
        "a pipe": lambda: os.mkfifo(path),
        "a folder": path.mkdir,
        "a device": lambda: path.symlink_to("/dev/zero"),
        "No such file": lambda: None,
        "levels of": lambda: path.symlink_to(path),
    }
    make[kind]()
    with pytest.raises(WeightsError, match=kind):
        read_weights(path)
    with pytest.raises(UnreadableFileError, match=kind):
        file_origin(path)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, repeat or insert a few bytes; opcodes and sizes more often than others."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(found))
        change = chance.randrange(5)
        if change == 0:
            found[at] ^= 1 << chance.randrange(8)
        elif change == 1:
            del found[at : at + chance.choice((1, 2, 8))]
        elif change == 2:
            found[at:at] = found[at : at + chance.randrange(1, 40)]
        elif change == 3:
            found[at:at] = chance.choice((b"b", b"R", b"Q", b"t", b"(", b"u", b"0", b"h\x00", b"e"))
        else:
            found[at : at + 4] = struct.pack("<I", chance.choice((0, 255, 2**31 - 1, 2**32 - 1)))
    return bytes(found)


def test_mutated_files_are_read_or_refused(tmp_path):
    chance = random.Random(0)
    pickled = state_pickle({f"layer{number}.weight": tensor() for number in range(3)})
    whole = legacy(pickled, {"0": NUMBERS})
    text = json.dumps({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    files = {}
    for number in range(150):
        files[f"archive{number}.pth"] = archive(mutated(pickled, chance))
        files[f"legacy{number}.pth"] = mutated(whole, chance)
        files[f"{number}.safetensors"] = weight_files.safetensors_of(
            mutated(text, chance), NUMBERS.tobytes()
        )
    found = outcomes(tmp_path, files)
    assert len(found) == len(files)
    assert not [name for name, outcome in found.items() if "does not fit into memory" in outcome]
    assert 5 < sum(outcome.startswith("read") for outcome in found.values()) < 300
