"""Files that are no files, and names that are no names: one clear answer, and no waiting."""

import errno
import os
import pathlib
import socket

import pytest

from fashion_jax.files import StorageError, UnreadableFileError, open_file, read_file, read_json


def _pipe(folder):
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


def _loop(folder):
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


def _link(target):
    def make(folder):
        (folder / "link").symlink_to(target)
        return folder / "link"

    return make


def _socket(folder):
    here = pathlib.Path.cwd()
    os.chdir(folder)  # a socket's path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("socket")
    finally:
        os.chdir(here)
    return folder / "socket"


def _sparse(folder):
    with (folder / "sparse").open("wb") as file:
        file.truncate(60 * 2**30)
    return folder / "sparse"


def _below_a_file(folder):
    (folder / "file").write_bytes(b"")
    return folder / "file" / "more"


STRANGE = {
    "a pipe": (_pipe, "is a pipe"),
    "a link to a pipe": (lambda folder: _link(_pipe(folder))(folder), "is a pipe"),
    "a link to itself": (_loop, "cannot be read: Too many levels of symbolic links"),
    "a link to nothing": (_link("nothing"), "cannot be read: No such file"),
    "a device": (lambda _: pathlib.Path("/dev/zero"), "is a device"),
    "a link to a device": (_link("/dev/zero"), "is a device"),
    "a socket": (_socket, "is a socket"),
    "a folder": (lambda folder: folder, "is a folder"),
    "below a file": (_below_a_file, "cannot be read: Not a directory"),
    "60 GB of nothing": (_sparse, "is too large: 64,424,509,440 bytes; the limit is 100"),
    "a long name": (lambda folder: folder / ("x" * 300), "cannot be read: File name too long"),
    "a NUL": (lambda folder: f"{folder}/a\0b", "cannot be read: "),
    "half a character": (lambda folder: f"{folder}/a\ud800", "cannot be read: 'utf-8' codec"),
    "nothing": (lambda folder: folder / "nothing", "cannot be read: No such file"),
    "an empty name": (lambda _: "", ". is a folder"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_what_is_not_a_readable_file_is_refused_by_name(kind, tmp_path):
    make, message = STRANGE[kind]
    path = make(tmp_path)
    with pytest.raises(UnreadableFileError) as caught:
        read_file(path, 100)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(pathlib.Path(path)))


def test_a_file_that_hides_its_size_is_bounded_as_well():
    with pytest.raises(UnreadableFileError, match="too large; the limit is 10 bytes"):
        read_file("/proc/self/maps", 10)


@pytest.mark.parametrize("size", [0, 1, 100])
def test_files_up_to_the_limit_are_read_whole(size, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * size)
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_file(tmp_path / "file", 100) == read_file(tmp_path / "link", 100) == b"x" * size
    with open_file(tmp_path / "file") as file:
        assert file.read() == b"x" * size


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO, errno.EMFILE])
def test_what_the_system_refuses_has_its_reason(number, tmp_path, monkeypatch):
    def refuse(self, mode):
        raise OSError(number, os.strerror(number), str(self))

    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(pathlib.Path, "open", refuse)
    with pytest.raises(UnreadableFileError) as caught:
        read_file(tmp_path / "file", 100)
    assert str(caught.value) == f"{tmp_path}/file cannot be read: {os.strerror(number)}"


def test_stored_json_behind_the_same_door(tmp_path):
    with pytest.raises(StorageError, match="is not a thing: it has no pipe"):
        read_json(tmp_path / "pipe.json", dict, 1, "a thing")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(StorageError, match="is a pipe; expected a file"):
        read_json(tmp_path / "pipe.json", dict, 1, "a thing")
