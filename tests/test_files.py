"""Files that are whole or not there at all."""

import dataclasses
import json
import pathlib
from typing import Annotated

import msgspec
import pytest

from fashion_jax.files import StorageError, atomic_write, read_json, to_json


def test_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "new" / "file.txt"
    atomic_write(path, b"one")
    atomic_write(path, b"two")
    assert path.read_bytes() == b"two"
    assert [child.name for child in path.parent.iterdir()] == ["file.txt"]


def test_an_interrupted_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    atomic_write(path, b"old")

    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(pathlib.Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [child.name for child in tmp_path.iterdir()] == ["file.txt"]


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5


@dataclasses.dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    sizes: dict[str, int]


WHOLE = Whole((Part("é", 0.25), Part("b")), {"x": 1})


def test_json_round_trip(tmp_path):
    path = tmp_path / "whole.json"
    path.write_bytes(to_json(WHOLE, schema=4))
    assert read_json(path, Whole, 4, "a thing") == WHOLE
    assert json.loads(path.read_text())["schema"] == 4
    assert "é" in path.read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is damaged"),
        ("[" * 100_000, "is damaged"),
        ("\xff", "is damaged"),
        ("[]", "schema None"),
        ('{"schema": 9}', "schema 9; this version of fashion-jax reads 1"),
        ('{"schema": 1}', "missing required field `parts`"),
        ('{"schema": 1, "parts": [{"name": 3}], "sizes": {}}', r"at `\$.parts\[0\].name`"),
        ('{"schema": 1, "parts": [{"name": "a", "share": 2}], "sizes": {}}', "`float` <= 1"),
        ('{"schema": 1, "parts": [], "sizes": {"x": true}}', "Expected `int`, got `bool`"),
        ('{"schema": 1, "parts": [], "sizes": {"x": NaN}}', "is damaged"),
    ],
)
def test_a_wrong_json_file_is_named(tmp_path, text, message):
    path = tmp_path / "x.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(StorageError, match=rf"x\.json.*{message}"):
        read_json(path, Whole, 1, "a thing")


def test_a_missing_json_file_says_what_the_folder_is_not(tmp_path):
    with pytest.raises(StorageError, match=r"is not a thing: it has no x\.json"):
        read_json(tmp_path / "x.json", Whole, 1, "a thing")
