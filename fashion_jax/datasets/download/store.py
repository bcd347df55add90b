"""Bytes that are a photo, into a whole file with the right ending."""

import pathlib
import re

from fashion_jax.datasets.photos import decode_photo
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write

_ENDINGS = (
    (re.compile(rb"\xff\xd8\xff"), ".jpg"),
    (re.compile(rb"\x89PNG"), ".png"),
    (re.compile(rb"GIF8"), ".gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), ".webp"),
    (re.compile(rb"BM"), ".bmp"),
    (re.compile(rb"II\*\x00|MM\x00\*"), ".tif"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), ".avif"),
    (re.compile(rb"\x00\x00\x00\x0cjP  |\xff\x4f\xff\x51"), ".jp2"),
    (re.compile(rb"P[1-6]\s"), ".ppm"),
)


class StorageError(FashionJaxError):
    """A photo that cannot be written: the disk's fault, not the photo's."""


def store_photo(folder: pathlib.Path, photo_id: str, content: bytes) -> pathlib.Path:
    """Writes a photo, after it was decoded once; the file is whole or not there.

    Args:
        folder: made where it is missing.
        photo_id: the file's name before its ending.
        content: bytes from a stranger.

    Returns:
        The file, whose ending is that of its content.

    Raises:
        UndecodablePhotoError: the bytes are no usable photo; nothing is written.
        StorageError: the file cannot be written.
    """
    decode_photo(content)
    path = folder / (photo_id + ending_of(content))
    try:
        atomic_write(path, content)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror or error}; what was fetched before is kept: "
            "make room and give the same command again"
        ) from error
    return path


def ending_of(content: bytes) -> str:
    """The ending of a photo's file name, by its first bytes; none for what is not known.

    >>> ending_of(b"GIF89a")
    '.gif'
    """
    return next((ending for start, ending in _ENDINGS if start.match(content)), "")


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what writing left behind when it was killed. No other process may write there."""
    for path in folder.glob(".*.unfinished"):
        path.unlink(missing_ok=True)
