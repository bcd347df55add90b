"""Folders survive their writers' sudden death."""

import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import pytest

from fashion_jax.files import StorageError, read_json, to_json
from fashion_jax.retrieval import storage

# Installs a new state over an old one, and is killed at the nth step that the disk can see.
WRITER = textwrap.dedent(
    """
    import os, pathlib, shutil, signal, sys
    from fashion_jax.files import to_json
    from fashion_jax.retrieval import storage

    target, step = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    calls = 0

    def deadly(function):
        def wrapped(*args, **kwargs):
            global calls
            calls += 1
            if calls == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
        return wrapped

    for owner, name in [(os, "fsync"), (os, "unlink"), (pathlib.Path, "rename"),
                        (pathlib.Path, "replace"), (shutil, "rmtree")]:
        setattr(owner, name, deadly(getattr(owner, name)))

    with storage.staged(target) as staging:
        part = storage.new_data_folder(staging)
        (part / "value").write_text("new")
        (staging / "manifest.json").write_bytes(to_json({"data": part.name}, 1))
        storage.install(staging, target)
    """
)

HOLDER = textwrap.dedent(
    """
    import pathlib, sys, time
    from fashion_jax.retrieval import storage

    with storage.locked(pathlib.Path(sys.argv[1])):
        print("locked", flush=True)
        time.sleep(600)
    """
)


def write_state(folder, value):
    part = folder / f"data-{value}"
    part.mkdir(parents=True)
    (part / "value").write_text(value)
    (folder / "manifest.json").write_bytes(to_json({"data": part.name}, 1))


def read_state(folder):
    manifest = read_json(folder / "manifest.json", dict, 1, "a state")
    return (folder / manifest["data"] / "value").read_text()


def killed_at(target, step):
    command = [sys.executable, "-c", WRITER, str(target), str(step)]
    code = subprocess.run(command, check=False).returncode
    assert code in (0, -signal.SIGKILL)
    return code != 0


def test_killed_at_any_step_the_old_state_or_the_new_one_is_there(tmp_path):
    seen, step = [], 1
    while True:
        target = tmp_path / f"killed_at_{step}"
        write_state(target, "old")
        killed = killed_at(target, step)
        seen.append(read_state(target))
        if not killed:
            break
        step += 1
    assert step > 8
    assert seen == sorted(seen, reverse=True)  # old up to some step, new from there on
    assert set(seen) == {"old", "new"}


def test_the_next_writer_removes_what_killed_ones_left(tmp_path):
    target = tmp_path / "state"
    write_state(target, "old")
    for step in (1, 4, 8):
        assert killed_at(target, step)
    (tmp_path / ".state.partial-next_to_it").mkdir()
    (tmp_path / ".state.partial-killed_before_it_was_there.lock").touch()
    assert len(list(target.iterdir())) > 2
    assert not killed_at(target, 10_000)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert read_state(target) == "new"
    assert len(list(target.iterdir())) == 2


def test_a_living_writers_folder_is_left_alone(tmp_path):
    with storage.staged(tmp_path / "state") as first:
        (first / "half").write_text("written")
        (lock,) = set(tmp_path.iterdir()) - {first}
        assert lock.is_file()  # whose lock other hosts see, unlike that of a folder
        with storage.staged(tmp_path / "state") as second:
            assert second != first
        assert (first / "half").read_text() == "written"
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writers_lock_ends_with_it_and_leaves_no_file(tmp_path):
    target = tmp_path / "state"
    write_state(target, "old")
    before = sorted(tmp_path.rglob("*"))
    command = [sys.executable, "-c", HOLDER, str(target)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder,
        ThreadPoolExecutor(1) as pool,
    ):
        assert holder.stdout.readline() == "locked\n"
        waiting = pool.submit(lock_and_release, target)
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        holder.kill()
        waiting.result(timeout=60)
    assert sorted(tmp_path.rglob("*")) == before


def lock_and_release(folder):
    with storage.locked(folder):
        pass


def test_files_of_other_names_stay(tmp_path):
    target = tmp_path / "state"
    write_state(target, "old")
    (target / "notes.txt").write_text("mine")
    assert not killed_at(target, 10_000)
    assert read_state(target) == "new"
    assert (target / "notes.txt").read_text() == "mine"


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("important")
    with (
        storage.staged(tmp_path) as staging,
        pytest.raises(StorageError, match="exists already; choose another name"),
    ):
        storage.install(staging, tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "important"


def test_verify_names_every_file(tmp_path):
    for name in ("good", "damaged", "missing"):
        (tmp_path / name).write_text(name)
    expected = storage.checksums(tmp_path)
    storage.verify(tmp_path, expected)
    (tmp_path / "damaged").write_text("changed")
    (tmp_path / "missing").unlink()
    with pytest.raises(StorageError, match="missing missing; with a wrong checksum damaged"):
        storage.verify(tmp_path, expected)
