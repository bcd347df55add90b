"""Writes a photo to a whole file, named by its content."""

import pathlib
import re

from fashion_jax.datasets.download.links import DownloadError
from fashion_jax.datasets.photos import decode_photo
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


def store_photo(folder: pathlib.Path, photo_id: str, content: bytes) -> pathlib.Path:
    """Decode a photo once to check it, then write it, whole or not at all.

    Args:
        folder: directory; made if missing.
        photo_id: file name without its suffix.
        content: bytes from a stranger.

    Returns:
        The file, with the suffix of its content.

    Raises:
        UndecodablePhotoError: the bytes are not a usable photo; nothing is written.
        DownloadError: the file cannot be written.
    """
    decode_photo(content)
    path = folder / (photo_id + ending_of(content))
    try:
        atomic_write(path, content)
    except OSError as error:
        raise DownloadError(
            f"cannot write {path}: {error.strerror or error}; make room and run the same command "
            "again to resume"
        ) from error
    return path


def ending_of(content: bytes) -> str:
    """Return the suffix for a photo's file, by its first bytes; empty if they are unknown.

    >>> ending_of(b"GIF89a")
    '.gif'
    """
    return next((ending for start, ending in _ENDINGS if start.match(content)), "")


def remove_unfinished(folder: pathlib.Path) -> None:
    """Remove what killed processes left half written; no other process may write there."""
    for path in folder.glob(".*.unfinished"):
        path.unlink(missing_ok=True)
