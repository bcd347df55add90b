"""The one door for files: checked when they are opened, atomic when they are written, and JSON."""

import json
import os
import pathlib
import secrets
import stat
from typing import Any, BinaryIO, TypeVar

import msgspec

from fashion_jax.errors import FashionJaxError

Stored = TypeVar("Stored")

LARGEST_JSON = 2**26  # bytes; a manifest of 100,000 segments stays below


# Reading these waits for a writer, or never ends.
_NOT_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class StorageError(FashionJaxError):
    """A stored file or folder that is missing, damaged, or of another version."""


class UnreadableFileError(FashionJaxError):
    """A file that cannot be opened, is not a regular file, or is larger than a limit."""


class FileTooLargeError(UnreadableFileError):
    """A file that is larger than a limit."""


def open_file(path: str | os.PathLike[str], most: int | None = None) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.

    Args:
        path: path of the file.
        most: largest size in bytes; by default any.

    Raises:
        UnreadableFileError: if there is no such file, if it is a folder, a pipe, a socket or a
            device, if it is too large, or if the system refuses to open it; its cause is the
            system's error.
    """
    path = pathlib.Path(path)
    try:
        _require_file(path.stat(), path)  # opening a pipe would wait for its writer
        file = path.open("rb")
    except (OSError, ValueError) as error:
        # ValueError: a NUL, or a text that is no name in the file system's encoding.
        raise UnreadableFileError(f"{path} cannot be read: {reason(error)}") from error
    try:
        status = os.fstat(file.fileno())
        _require_file(status, path)
        if most is not None and status.st_size > most:
            raise FileTooLargeError(
                f"{path} is too large: {status.st_size:,} bytes; the limit is {most:,}"
            )
    except BaseException:
        file.close()
        raise
    return file


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a regular file; `False` as well if the system refuses to say."""
    return stat.S_ISREG(_mode(path))


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a path leads to a folder; `False` as well if the system refuses to say."""
    return stat.S_ISDIR(_mode(path))


def _mode(path: str | os.PathLike[str]) -> int:
    try:
        return pathlib.Path(path).stat().st_mode
    except (OSError, ValueError):  # ValueError: see `open_file`
        return 0


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """Read a regular file of at most `most` bytes; see `open_file`.

    Raises:
        UnreadableFileError: as `open_file`, or if reading fails.
    """
    with open_file(path, most) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise UnreadableFileError(f"{file.name} cannot be read: {reason(error)}") from error
    if len(content) > most:  # it grew, or does not say its size, as the kernel's own files do
        raise FileTooLargeError(f"{file.name} is too large; the limit is {most:,} bytes")
    return content


def reason(error: OSError | ValueError) -> str:
    """The system's reason without number and path, such as `Permission denied`."""
    return str(getattr(error, "strerror", None) or error)


def _require_file(status: os.stat_result, path: pathlib.Path) -> None:
    kind = _NOT_FILES.get(stat.S_IFMT(status.st_mode))
    if kind is not None:
        raise UnreadableFileError(f"{path} is {kind}; expected a file")


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
    try:
        content = read_file(path, LARGEST_JSON)
    except UnreadableFileError as error:
        if isinstance(error.__cause__, FileNotFoundError | NotADirectoryError):
            missing = f"{path.parent} is not {what}: it has no {path.name}"
            raise StorageError(missing) from error
        raise StorageError(str(error)) from error
    return parse_json(content, kind, schema, str(path))


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
