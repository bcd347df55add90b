"""The one door for files: checked when they are opened, atomic when they are written, and JSON."""

import contextlib
import errno
import json
import os
import pathlib
import re
import secrets
import stat
import types
from collections.abc import Iterator
from typing import Any, BinaryIO, TypeVar

import msgspec

from fashion_jax.errors import FashionJaxError, named
from fashion_jax.strict_json import JsonError, decode, digest, unknown_fields

Stored = TypeVar("Stored")

LARGEST_JSON = 2**26  # bytes; a manifest of 100,000 segments stays below
_BLOCK = 2**20
LARGEST_LINES = 2**32  # bytes of JSON lines
MEND = "Copy it again from where it came from, or make it again"
WRITING = "while writing "
_SCHEMA, _SELF = "schema", "content_sha256"
_HALF_PAIR = re.compile("[\ud800-\udfff]")


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


class UnwritableFileError(FashionJaxError):
    """A name that a file cannot be written to."""


def open_file(path: str | os.PathLike[str], most: int | None = None) -> BinaryIO:
    """Open a regular file, or a link to one, for reading.

    Args:
        path: path of the file.
        most: largest size in bytes; by default any.

    Raises:
        UnreadableFileError: if the file is missing, too large, or not a regular file (a folder,
            pipe, socket or device), or if the system refuses to open it; the cause is the
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


def require_utf8(path: str | os.PathLike[str]) -> None:
    """Refuse a path that ArrayRecord and Orbax cannot open.

    Raises:
        StorageError: a name in it is not UTF-8.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise StorageError(
            f"{path} has a name that is not UTF-8; rename that folder, or choose another"
        ) from error


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
            # Python allocates all that it is asked for: no more than the file says it has.
            content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
            while more := file.read(min(_BLOCK, most + 1 - len(content))):
                content += more
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

    A reader of `path` sees the old content or the new, whatever interrupts the writing. A link
    stays, and the file that it leads to is replaced.

    Raises:
        UnwritableFileError: if a folder, a pipe, a socket or a device has that name.
        OSError: if it cannot be written; with its name.
    """
    given = pathlib.Path(path)
    try:
        path = given.resolve() if given.is_symlink() else given
        if path.is_symlink():
            raise UnwritableFileError(f"{given} is a loop of links, and stays: choose another file")
        kind = _NOT_FILES.get(stat.S_IFMT(_mode(path)))
        if kind is not None:
            raise UnwritableFileError(f"{given} is {kind}, and stays: choose another file")
        _replace(path, content)
    except OSError as error:
        if error.errno is not None:  # else its text is its own
            error.filename, error.filename2 = os.fspath(given), None  # not a name of ours
        raise
    except (RuntimeError, ValueError) as error:  # a loop of links; see `open_file`
        raise UnwritableFileError(f"{given} cannot be written: {error}") from error


def _replace(path: pathlib.Path, content: bytes) -> None:
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


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name a path in errors that do not say what was written, as those of `write` do not."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, OSError) or error.errno is None:  # a name would hide its text
            error.add_note(f"{WRITING}{os.fspath(path)}")
        elif error.filename is None:
            error.filename = os.fspath(path)
        raise


def reserve(path: pathlib.Path) -> None:
    """Reserve room on the disk for a file that is written through a map.

    A full disk is an error here; in the map, it would kill the process.

    Raises:
        OSError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with path.open("r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):  # no such call on this disk
                error.filename = os.fspath(path)
                raise


def to_json(value: Any, schema: int | None = None) -> bytes:
    """Encode dataclasses, dicts, lists and numbers as JSON for programs and people.

    Args:
        value: value to encode; `read_json` is the inverse.
        schema: version of its fields, stored with them, as is a checksum of all of them: reading
            notices a change of any bit. None for a file that people may edit; names of files that
            are not UTF-8 are escaped in it, as on a terminal.
    """
    plain = msgspec.to_builtins(value)
    if schema is not None:
        versioned = {_SCHEMA: schema, **plain}
        plain = {_SCHEMA: schema, _SELF: digest(versioned), **plain}
    text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=schema is None)
    text = _HALF_PAIR.sub(lambda half: rf"\\u{ord(half[0]):x}", text)
    return f"{text}\n".encode()


def read_json(
    path: pathlib.Path,
    kind: type[Stored] | types.GenericAlias,
    schema: int | None,
    what: str,
    *,
    any_number: bool = False,
    mend: str = MEND,
) -> Stored:
    """Read what `to_json` encoded, and check types and bounds of all fields.

    Args:
        path: the file.
        kind: dataclass of its fields; bounds are annotated as `Annotated[..., msgspec.Meta]`. Or
            any type that msgspec knows, such as `dict[str, float]`.
        schema: the version that is understood; None for a file without version and checksum.
        what: content of the file's folder, for messages, such as `a catalogue`.
        any_number: see `parse_json`.
        mend: see `parse_json`.

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
    return parse_json(content, kind, schema, str(path), any_number=any_number, mend=mend)


def parse_json(
    content: bytes | str,
    kind: type[Stored] | types.GenericAlias,
    schema: int | None,
    where: str,
    *,
    any_number: bool = False,
    mend: str = MEND,
) -> Stored:
    """Read JSON text; see `read_json`.

    Args:
        content: the text.
        kind: see `read_json`.
        schema: see `read_json`.
        where: place of the text, for messages.
        any_number: accept NaN, infinities and whole numbers beyond 64 bits; see
            `fashion_jax.strict_json.decode`.
        mend: what to do about a damaged one, for messages.

    Raises:
        StorageError: damaged, or of another version: no JSON in UTF-8, a field that is missing,
            unknown, there twice, or of a wrong type or value (which is named), or a wrong checksum.
    """
    try:
        values = decode(content, any_number)
        if schema is None:
            return check_values(values, kind, where, mend)
        version, own = _split(values)
        if version != schema:
            raise StorageError(
                f"{where} has schema {version!r}; this version of fashion-jax reads {schema}. Make "
                f"it again, or use the version that wrote it"
            )
        stored = check_values(values, kind, where, mend)
        if own != digest({_SCHEMA: schema, **values}):
            raise JsonError(f"its content does not match its {_SELF}")
    except (JsonError, RecursionError) as error:
        raise StorageError(f"{where} is damaged ({error}). {mend}") from error
    return stored


def check_values(
    values: Any, kind: type[Stored] | types.GenericAlias, where: str, mend: str = MEND
) -> Stored:
    """Make decoded values what they are to be; see `parse_json`.

    Raises:
        StorageError: a field is missing, unknown, or of a wrong type or value.
    """
    try:
        stored = msgspec.convert(values, kind)
        unknown = list(unknown_fields(values, msgspec.to_builtins(stored)))
        if unknown:
            raise JsonError(f"unknown fields: {named(unknown)}")
    except (JsonError, msgspec.ValidationError, RecursionError) as error:
        raise StorageError(f"{where} is damaged ({error}). {mend}") from error
    except FashionJaxError as error:  # of a field's own type, which does not know the place
        raise type(error)(f"{where}: {error}") from error
    return stored


def _split(values: Any) -> tuple[Any, Any]:
    """Take version and checksum out of a file's values."""
    if not isinstance(values, dict):
        return None, None
    return values.pop(_SCHEMA, None), values.pop(_SELF, None)
