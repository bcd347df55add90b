import pathlib
import random
import zipfile

import ml_dtypes
import numpy as np
import pytest

from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.torch_file import read_torch_file
from tests.inference.weights import torch_files
from tests.inference.weights.torch_files import Entry

VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def read(folder: pathlib.Path, data: bytes) -> dict[str, np.ndarray]:
    path = folder / "weights.pth"
    path.write_bytes(data)
    return read_torch_file(path).tensors


@pytest.mark.parametrize("form", [torch_files.archive_of, torch_files.legacy_of])
def test_reads_both_formats(tmp_path, form):
    found = read(
        tmp_path, form({"a.weight": Entry(VALUES), "n": Entry(np.ones((), np.float32), "1")})
    )
    assert set(found) == {"a.weight", "n"}
    np.testing.assert_array_equal(found["a.weight"], VALUES)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DoubleStorage", np.float64),
        ("HalfStorage", np.float16),
        ("BFloat16Storage", ml_dtypes.bfloat16),
        ("LongStorage", np.int64),
    ],
)
def test_reads_dtypes(tmp_path, kind, dtype):
    values = VALUES.astype(dtype)
    found = read(tmp_path, torch_files.archive_of({"a": Entry(values, kind=kind)}))["a"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_strides_and_offset_pick_a_view(tmp_path):
    entry = Entry(VALUES, shape=(2, 2), strides=(1, 4), offset=5)
    found = read(tmp_path, torch_files.archive_of({"a": entry}))["a"]
    np.testing.assert_array_equal(found, [[5, 9], [6, 10]])


def test_parameters_are_tensors(tmp_path):
    rebuild = torch_files.name("torch._utils", "_rebuild_parameter")
    wrapped = torch_files.call(rebuild, torch_files.tensor(Entry(VALUES)))
    data = torch_files.archive(torch_files.state_pickle({"a": wrapped}), {"0": VALUES.tobytes()})
    np.testing.assert_array_equal(read(tmp_path, data)["a"], VALUES)


@pytest.mark.parametrize("key", ["state_dict", "model", "net"])
def test_a_training_scripts_wrapping_is_undone(tmp_path, key):
    inner = torch_files.state_pickle({"a": torch_files.tensor(Entry(VALUES))})[2:-1]
    rest = {"epoch": b"K\x07", "optimizer": torch_files.plain({"state": {}, "lr": 0.1})}
    outer = torch_files.state_pickle({key: inner, **rest})
    path = tmp_path / "weights.pth"
    path.write_bytes(torch_files.archive(outer, {"0": VALUES.tobytes()}))
    found = read_torch_file(path)
    assert (set(found.tensors), found.key) == ({"a"}, key)


def test_older_names_of_pytorchs_are_known(tmp_path):
    storage = b"(" + torch_files.plain("storage") + torch_files.name("torch", "FloatStorage")
    storage += torch_files.plain("0") + torch_files.plain("cpu") + torch_files.plain(12) + b"tQ"
    size = torch_files.call(torch_files.name("torch", "Size"), torch_files.plain((3, 4)))
    rebuild = torch_files.name("torch._utils", "_rebuild_tensor")
    old = torch_files.call(rebuild, storage, b"K\x00", size, torch_files.plain((4, 1)))
    data = torch_files.archive(torch_files.state_pickle({"a": old}), {"0": VALUES.tobytes()})
    np.testing.assert_array_equal(read(tmp_path, data)["a"], VALUES)


def test_an_attack_beside_the_weights_is_not_run_either(tmp_path):
    victim = tmp_path / "victim"
    attack = torch_files.call(
        torch_files.name("os", "system"), torch_files.plain(f"touch {victim}")
    )
    inner = torch_files.state_pickle({"a": torch_files.tensor(Entry(VALUES))})[2:-1]
    outer = torch_files.state_pickle({"state_dict": inner, "hyper_parameters": attack})
    with pytest.raises(WeightsError, match=r"os\.system.*torch\.save\(model\.state_dict"):
        read(tmp_path, torch_files.archive(outer, {"0": VALUES.tobytes()}))
    assert not victim.exists()


@pytest.mark.parametrize(
    ("module", "function"),
    [("os", "system"), ("posix", "system"), ("builtins", "eval"), ("torch", "load")],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_code_is_refused_by_name_and_not_run(tmp_path, module, function, zipped):
    victim = tmp_path / "victim"
    attack = torch_files.call(
        torch_files.name(module, function), torch_files.plain(f"touch {victim}")
    )
    pickled = torch_files.state_pickle({"a": attack})
    data = torch_files.archive(pickled, {}) if zipped else torch_files.legacy(pickled, {})
    with pytest.raises(WeightsError, match=rf"{module}\.{function}.*nothing was run"):
        read(tmp_path, data)
    assert not victim.exists()


def test_a_pickle_without_pytorchs_header_is_not_run_either(tmp_path):
    victim = tmp_path / "victim"
    attack = torch_files.call(
        torch_files.name("os", "system"), torch_files.plain(f"touch {victim}")
    )
    with pytest.raises(WeightsError, match=r"os\.system"):
        read(tmp_path, b"\x80\x02" + attack + b".")
    assert not victim.exists()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry(VALUES, shape=(3, 5), strides=(4, 1)), "beyond its storage"),
        (Entry(VALUES, offset=1), "beyond its storage"),
        (Entry(VALUES, shape=(1 << 40,), strides=(0,)), "claim 4,398,046,511,104 bytes"),
        (Entry(VALUES, shape=(2,), strides=(-1,), offset=3), "strides"),
        (Entry(VALUES, shape=(2, 2), strides=(1,)), "strides"),
        (Entry(VALUES, shape=(2,), strides=(1.5,)), "malformed"),
        (Entry(VALUES, size=1 << 40), "bytes"),
        (Entry(VALUES, size=-3), "size"),
        (Entry(VALUES, key="../../../etc/passwd\x00"), "lacks the member"),
    ],
)
def test_false_sizes_are_refused(tmp_path, entry, message):
    pickled = torch_files.state_pickle({"a": torch_files.tensor(entry)})
    with pytest.raises(WeightsError, match=message):
        read(tmp_path, torch_files.archive(pickled, {"0": VALUES.tobytes()}))


def test_sharing_a_storage_a_thousand_times_is_refused(tmp_path):
    shared = torch_files.tensor(Entry(VALUES))
    pickled = torch_files.state_pickle({f"a{number}": shared for number in range(1000)})
    with pytest.raises(WeightsError, match="claim"):
        read(tmp_path, torch_files.archive(pickled, {"0": VALUES.tobytes()}))


def test_compressed_members_are_refused(tmp_path):
    pickled = torch_files.state_pickle({"a": torch_files.tensor(Entry(VALUES))})
    data = torch_files.archive(pickled, {"0": VALUES.tobytes()}, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match="compressed"):
        read(tmp_path, data)


def test_big_endian_is_refused(tmp_path):
    pickled = torch_files.state_pickle({"a": torch_files.tensor(Entry(VALUES))})
    with pytest.raises(WeightsError, match="big-endian"):
        read(tmp_path, torch_files.legacy(pickled, {"0": VALUES}, little_endian=False))


def test_what_is_no_state_dict_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="2 entries are not tensors: epoch, lr"):
        read(
            tmp_path,
            torch_files.archive(torch_files.state_pickle({"epoch": b"K\1", "lr": b"N"}), {}),
        )
    with pytest.raises(WeightsError, match="NoneType"):
        read(tmp_path, torch_files.archive(b"N.", {}))


@pytest.mark.parametrize("form", [torch_files.archive_of, torch_files.legacy_of])
def test_a_cut_off_file_is_refused_wherever_it_ends(tmp_path, form):
    data = form({"a": Entry(VALUES)})
    for length in range(0, len(data) - 1, 7):
        with pytest.raises(WeightsError, match=r"weights\.pth"):
            read(tmp_path, data[:length])


@pytest.mark.parametrize("form", [torch_files.archive_of, torch_files.legacy_of])
def test_damage_is_an_error_of_ours_or_harmless(tmp_path, form):
    data = form({"a": Entry(VALUES)})
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            read(tmp_path, bytes(damaged))
        except WeightsError:
            continue
