"""Files on disk and in object storage (`gs://`, `s3://`), by path or URI."""

import pathlib

import fsspec

from fashion_jax import files
from fashion_jax.datasets.photo_lists.photo_list import MAX_BYTES
from fashion_jax.errors import FashionJaxError

# By default s3fs first asks for the size, to read large files in parts; photos are small.
_SETTINGS = {"s3": {"max_concurrency": 1}}
_EXTRAS = {"gs": "gcs", "s3": "s3"}  # extras of our package, by scheme
_NAMED = 5


class FileAccessError(FashionJaxError):
    """Missing files, or storage that does not answer."""


def is_uri(place: str) -> bool:
    """Whether a place is in object storage, not a path."""
    return "://" in place


def scheme_of(uri: str) -> str:
    """Return the scheme of a URI, such as `gs`."""
    return uri.split("://", 1)[0]


def absolute(place: str) -> str:
    """Make a path absolute; leave a URI or an empty text unchanged."""
    if not place or is_uri(place):
        return place.rstrip("/")
    return str(pathlib.Path(place).expanduser().resolve())


def open_storage(scheme: str) -> fsspec.AbstractFileSystem:
    """Open the storage of a URI scheme, for use from several threads.

    Raises:
        FileAccessError: if the scheme is unknown, or its package is not installed.
    """
    try:
        return fsspec.filesystem(scheme, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        extra = f"pip install 'fashion-jax[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else error
        raise FileAccessError(
            f"{scheme}:// needs a package that is not installed: {extra}"
        ) from error
    except ValueError as error:
        raise FileAccessError(f"unknown kind of storage {scheme}://; use gs:// or s3://") from error


def read_file(place: str) -> bytes:
    """Read a file.

    Raises:
        FileAccessError: if it is missing, or cannot be read.
    """
    try:
        if is_uri(place):
            return open_storage(scheme_of(place)).cat_file(place)
        return files.read_file(place, MAX_BYTES)
    except files.UnreadableFileError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise FileAccessError(f"no file {place}{_nearby(place)}") from error
        raise FileAccessError(str(error)) from error
    except FashionJaxError:
        raise
    except FileNotFoundError as error:
        raise FileAccessError(f"no file {place}{_nearby(place)}") from error
    except Exception as error:  # any exception of a storage's own package
        raise FileAccessError(f"{place} cannot be read: {error!r}") from error


def _nearby(place: str) -> str:
    """List the directory of a missing file, for a message."""
    return "" if is_uri(place) else f"; {listing(pathlib.Path(place).parent)}"


def listing(folder: pathlib.Path) -> str:
    """List the first names in a directory, for a message."""
    if not folder.is_dir():
        return f"{folder} does not exist"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{folder} holds {', '.join(names[:_NAMED]) or 'nothing'}{more}"
