"""Atomically written files, and validated JSON."""

import json
import os
import pathlib
import secrets
from typing import Any, TypeVar

import msgspec

from fashion_jax.errors import FashionJaxError

Stored = TypeVar("Stored")

LARGEST_JSON = 2**26  # bytes; a manifest of 100,000 segments stays below


class StorageError(FashionJaxError):
    """A stored file or folder that is missing, damaged, or of another version."""


def atomic_write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file under another name, then rename it; missing folders are made.

    A reader of `path` sees the old content or the new, whatever interrupts the writing.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hosts that share a disk may have equal process numbers.
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.unfinished")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def to_json(value: Any, schema: int | None = None) -> bytes:
    """Encode dataclasses, dicts, lists and numbers as JSON for programs and people.

    Args:
        value: value to encode; `read_json` is the inverse.
        schema: version of its fields, stored with them.
    """
    plain = msgspec.to_builtins(value)
    versioned = plain if schema is None else {"schema": schema, **plain}
    return (json.dumps(versioned, indent=2, ensure_ascii=False) + "\n").encode()


def read_json(path: pathlib.Path, kind: type[Stored], schema: int, what: str) -> Stored:
    """Read what `to_json` encoded, and check types and bounds of all fields.

    Args:
        path: the file.
        kind: dataclass of its fields; bounds are annotated as `Annotated[..., msgspec.Meta]`.
        schema: the version that is understood.
        what: content of the file's folder, for messages, such as `a catalogue`.

    Raises:
        StorageError: no such file, or a file that is damaged or of another version.
    """
    if not path.is_file():
        raise StorageError(f"{path.parent} is not {what}: it has no {path.name}")
    size = path.stat().st_size
    if size > LARGEST_JSON:
        raise StorageError(f"{path} is damaged: too large ({size:,} bytes)")
    return parse_json(path.read_bytes(), kind, schema, str(path))


def parse_json(content: bytes | str, kind: type[Stored], schema: int, where: str) -> Stored:
    """Read JSON text; see `read_json`.

    Args:
        content: the text.
        kind: see `read_json`.
        schema: see `read_json`.
        where: place of the text, for messages.

    Raises:
        StorageError: damaged, or of another version.
    """
    mend = "Copy it again from where it came from, or make it again"
    try:
        values = msgspec.json.decode(content)
        found = values.pop("schema", None) if isinstance(values, dict) else None
        if found == schema:
            return msgspec.convert(values, kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise StorageError(f"{where} is damaged ({error}). {mend}") from error
    raise StorageError(
        f"{where} has schema {found!r}; this version of fashion-jax reads {schema}. Make it "
        f"again, or use the version that wrote it"
    )
