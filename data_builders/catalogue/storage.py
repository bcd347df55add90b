"""Files on disk and in object storage (`gs://`, `s3://`), by path or URI."""

import pathlib

from fashion_jax import files
from fashion_jax.addresses import is_address, open_storage
from fashion_jax.datasets.photo_lists.photo_list import MAX_BYTES
from fashion_jax.errors import FashionJaxError

_NAMED = 5


class FileAccessError(FashionJaxError):
    """Missing files, or storage that does not answer."""


def scheme_of(uri: str) -> str:
    """Return the scheme of a URI, such as `gs`."""
    return uri.split("://", 1)[0]


def absolute(place: str) -> str:
    """Make a path absolute; leave a URI or an empty text unchanged."""
    if not place or is_address(place):
        return place.rstrip("/")
    return str(pathlib.Path(place).expanduser().resolve())


def read_file(place: str) -> bytes:
    """Read a file.

    Raises:
        FileAccessError: if it is missing, or cannot be read.
        AddressError: if its kind of storage is unknown, or lacks its package.
    """
    try:
        if is_address(place):
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
    return "" if is_address(place) else f"; {listing(pathlib.Path(place).parent)}"


def listing(folder: pathlib.Path) -> str:
    """List the first names in a directory, for a message."""
    if not folder.is_dir():
        return f"{folder} does not exist"
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return f"{folder} holds {', '.join(names[:_NAMED]) or 'nothing'}{more}"
