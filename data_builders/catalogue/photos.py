"""The photos that a manifest names: below a folder, or in object storage."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.building.tally import MISSING
from fashion_jax.datasets.photos import UndecodablePhotoError, decode_photo

from .storage import (
    StorageError,
    is_uri,
    listing,
    open_storage,
    scheme_of,
)

_SAMPLE = 100


class CataloguePhotos:
    """Photos by the names that a manifest gives them.

    Args:
        root: a folder, or a URI, that the names are relative to; "" if all of them are URIs.
        schemes: of the URIs among the names.
    """

    def __init__(self, root: str, schemes: Sequence[str] = ()):
        self._root = root
        used = {*schemes, scheme_of(root)} if is_uri(root) else {*schemes}
        # Opened here, by one thread: fsspec would make one of its own for each thread.
        self._storages = {scheme: open_storage(scheme) for scheme in used}

    def place(self, photo_id: str) -> str:
        """Where a photo lies: a path or a URI."""
        return photo_id if is_uri(photo_id) else f"{self._root}/{photo_id}"

    def __contains__(self, photo_id: object) -> bool:
        """Whether the photo is there; for one in object storage, `load` finds out.

        To ask first would double the number of requests.
        """
        if not isinstance(photo_id, str):
            return False
        place = self.place(photo_id)
        return is_uri(place) or pathlib.Path(place).is_file()

    def exists(self, photo_id: str) -> bool:
        """Whether the photo is there, in object storage as well.

        Raises:
            StorageError: the storage does not answer, or does not let us in.
        """
        place = self.place(photo_id)
        if not is_uri(place):
            return pathlib.Path(place).is_file()
        try:
            self._storages[scheme_of(place)].info(place)
        except FileNotFoundError:
            return False
        except Exception as error:  # whatever a storage's own package raises
            raise StorageError(_no_answer(place, error)) from error
        return True

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: it is not there, cannot be read, or holds no usable photo.
            StorageError: the storage does not let us in.
        """
        place = self.place(photo_id)
        try:
            data = self._read(place)
        except FileNotFoundError as error:
            raise UndecodablePhotoError(MISSING, f"there is no {place}") from error
        except OSError as error:
            raise UndecodablePhotoError("unreadable", str(error)) from error
        return decode_photo(data)

    def _read(self, place: str) -> bytes:
        if not is_uri(place):
            return pathlib.Path(place).read_bytes()
        try:
            return self._storages[scheme_of(place)].cat_file(place)
        except OSError:
            raise
        except Exception as error:  # such as credentials that ran out: no photo's own fault
            raise StorageError(_no_answer(place, error)) from error


def find_photos(root: str, photo_ids: Sequence[str]) -> CataloguePhotos:
    """Makes the source of a manifest's photos, and tries whether it has any.

    Args:
        root: a folder, or a URI, that relative names are below; "" for none.
        photo_ids: all of them.

    Raises:
        StorageError: names that are relative to nothing, no such folder, storage that cannot be
            reached, or not one photo where the first ones were looked for.
    """
    relative = next((photo_id for photo_id in photo_ids if not is_uri(photo_id)), None)
    if relative is not None:
        _check_root(root, relative)
    schemes = {scheme_of(photo_id) for photo_id in photo_ids if is_uri(photo_id)}
    photos = CataloguePhotos(root, sorted(schemes))
    sample = photo_ids[:: -(-len(photo_ids) // _SAMPLE)]
    if not any(photos.exists(photo_id) for photo_id in sample):
        place = photos.place(sample[0])
        there = "" if is_uri(place) else f"; {listing(pathlib.Path(root))}"
        raise StorageError(
            f"not one photo found: looked for {place} and {len(sample) - 1} "
            f"others{there}. Names in the manifest are relative to --photos"
        )
    return photos


def _check_root(root: str, photo_id: str) -> None:
    if not root:
        raise StorageError(
            f"the manifest's photos, such as {photo_id}, are relative to a folder (or gs:// or "
            "s3://): name it with --photos"
        )
    if not is_uri(root) and not pathlib.Path(root).is_dir():
        raise StorageError(f"--photos {root} is no folder; {listing(pathlib.Path(root).parent)}")


def _no_answer(place: str, error: Exception) -> str:
    return f"{place} cannot be read: {error!r}; are your credentials for this storage set up?"
