"""Files that are whole or not there at all."""

import pathlib

import pytest

from fashion_jax.files import write_whole


def test_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "new" / "file.txt"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    write_whole(path, b"old")

    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["file.txt"]
