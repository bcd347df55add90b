"""Files in folders and in object storage (`gs://`, `s3://`), by path or URI."""

import pathlib

import fsspec

from fashion_jax.errors import FashionJaxError

# By default s3fs asks for the size first, to read large files in parts; photos are small.
_SETTINGS = {"s3": {"max_concurrency": 1}}
_EXTRAS = {"gs": "gcs", "s3": "s3"}  # of our package, by scheme
_NAMED = 5


class StorageError(FashionJaxError):
    """Files that are not where they were looked for, or storage that does not answer."""


def is_uri(place: str) -> bool:
    """Whether a place is in object storage, and not a path."""
    return "://" in place


def scheme_of(uri: str) -> str:
    """Such as `gs`."""
    return uri.split("://", 1)[0]


def absolute(place: str) -> str:
    """A path made absolute; a URI, and nothing at all, stay as they are."""
    if not place or is_uri(place):
        return place.rstrip("/")
    return str(pathlib.Path(place).expanduser().resolve())


def open_storage(scheme: str) -> fsspec.AbstractFileSystem:
    """The storage that URIs of a scheme lie in; may be used from several threads.

    Raises:
        StorageError: there is no such storage, or its package is not installed.
    """
    try:
        return fsspec.filesystem(scheme, **_SETTINGS.get(scheme, {}))
    except ImportError as error:
        extra = f"pip install 'fashion-jax[{_EXTRAS[scheme]}]'" if scheme in _EXTRAS else error
        raise StorageError(f"{scheme}:// needs a package that is not installed: {extra}") from error
    except ValueError as error:
        raise StorageError(f"{scheme}:// is no storage that can be read from here") from error


def read_file(place: str) -> bytes:
    """A file's content.

    Raises:
        StorageError: it is not there, or cannot be read.
    """
    try:
        if is_uri(place):
            return open_storage(scheme_of(place)).cat_file(place)
        return pathlib.Path(place).read_bytes()
    except FashionJaxError:
        raise
    except FileNotFoundError as error:
        raise StorageError(f"there is no file {place}{_nearby(place)}") from error
    except IsADirectoryError as error:
        raise StorageError(f"{place} is a folder; a file is wanted") from error
    except Exception as error:  # whatever a storage's own package raises
        raise StorageError(f"{place} cannot be read: {error!r}") from error


def _nearby(place: str) -> str:
    """What the folder of a missing file holds instead."""
    return "" if is_uri(place) else f"; {listing(pathlib.Path(place).parent)}"


def listing(folder: pathlib.Path) -> str:
    """The first names in a folder, for a message."""
    if not folder.is_dir():
        return f"there is no folder {folder}"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{folder} holds {', '.join(names[:_NAMED]) or 'nothing'}{more}"
