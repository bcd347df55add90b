"""Photos named in a manifest: below a directory, or in object storage."""

import contextlib
import os
import pathlib
from collections.abc import Sequence

import fsspec
import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.boxes import Box, to_pixels
from fashion_jax.datasets.building.tally import MISSING
from fashion_jax.datasets.photos import (
    MAX_BYTES,
    UndecodablePhotoError,
    decode_photo,
    find_file,
    read_photo,
)
from fashion_jax.files import is_file

from .storage import (
    FileAccessError,
    is_address,
    listing,
    open_storage,
    scheme_of,
)

_SAMPLE = 100


class CataloguePhotos:
    """Photos by their names in a manifest.

    Args:
        root: directory, or URI, that the names are relative to; "" if all of them are URIs.
        schemes: schemes of the URIs among the names.
        box_unit: unit of the boxes; one of `UNITS`.
    """

    def __init__(self, root: str, schemes: Sequence[str] = (), box_unit: str = "pixels"):
        self._root = root
        self._box_unit = box_unit
        used = {*schemes, scheme_of(root)} if is_address(root) else {*schemes}
        # Opened here, by one thread: fsspec would open one for each thread.
        self._storages = {scheme: open_storage(scheme) for scheme in used}

    def place(self, photo_id: str) -> str:
        """Return the path or URI of a photo."""
        if is_address(photo_id) or is_address(self._root):
            return photo_id if is_address(photo_id) else f"{self._root}/{photo_id}"
        return str(find_file(pathlib.Path(self._root), photo_id))

    def scaled_box(self, photo_id: str, box: Box, height: int, width: int) -> Box:
        """Convert a box to pixels of its photo."""
        return to_pixels(box, self._box_unit, height, width)

    def __contains__(self, photo_id: object) -> bool:
        """Whether the photo exists; always True in object storage, where `load` finds out.

        Asking first would double the number of requests.
        """
        if not isinstance(photo_id, str):
            return False
        place = self.place(photo_id)
        return is_address(place) or is_file(place)

    def exists(self, photo_id: str) -> bool:
        """Check whether the photo exists, in object storage as well.

        Raises:
            FileAccessError: if the storage does not answer, or denies access.
        """
        place = self.place(photo_id)
        if not is_address(place):
            return is_file(place)
        try:
            self._storages[scheme_of(place)].info(place)
        except FileNotFoundError:
            return False
        except Exception as error:  # any exception of a storage's own package
            raise FileAccessError(_no_answer(place, error)) from error
        return True

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: if it is missing, cannot be read, or is not a usable photo.
            FileAccessError: if the storage denies access.
        """
        place = self.place(photo_id)
        if not is_address(place):
            if not os.path.lexists(place):
                raise UndecodablePhotoError(MISSING, f"{place} does not exist")
            return read_photo(pathlib.Path(place))
        try:
            data = self._download(place)
        except FileNotFoundError as error:
            raise UndecodablePhotoError(MISSING, f"{place} does not exist") from error
        except OSError as error:
            raise UndecodablePhotoError("unreadable", str(error)) from error
        return decode_photo(data)

    def _download(self, uri: str) -> bytes:
        """Read a photo, or the first `MAX_BYTES` of a larger file and one more."""
        storage = self._storages[scheme_of(uri)]
        try:
            return storage.cat_file(uri, end=MAX_BYTES + 1)
        except Exception as error:
            if _size(storage, uri) == 0:  # of which some storages give no part
                return b""
            if isinstance(error, OSError):
                raise
            # Such as expired credentials, which say nothing about the photo.
            raise FileAccessError(_no_answer(uri, error)) from error


def _size(storage: fsspec.AbstractFileSystem, uri: str) -> int | None:
    with contextlib.suppress(Exception):
        return storage.info(uri)["size"]
    return None


def open_photos(root: str, photo_ids: Sequence[str], box_unit: str = "pixels") -> CataloguePhotos:
    """Open the photos of a manifest, and check a sample of them.

    Args:
        root: directory, or URI, that relative names are below; "" for none.
        photo_ids: names of all photos.
        box_unit: unit of their boxes.

    Raises:
        FileAccessError: if names are relative without a root, the directory does not exist, the
            storage cannot be reached, or no photo of the sample exists.
    """
    relative = next((photo_id for photo_id in photo_ids if not is_address(photo_id)), None)
    if relative is not None:
        _check_root(root, relative)
    schemes = {scheme_of(photo_id) for photo_id in photo_ids if is_address(photo_id)}
    photos = CataloguePhotos(root, sorted(schemes), box_unit)
    sample = photo_ids[:: -(-len(photo_ids) // _SAMPLE)]
    if not any(photos.exists(photo_id) for photo_id in sample):
        place = photos.place(sample[0])
        there = "" if is_address(place) else f"; {listing(pathlib.Path(root))}"
        raise FileAccessError(
            f"no photo found: looked for {place} and {len(sample) - 1} "
            f"others{there}. Names in the manifest are relative to --photos"
        )
    return photos


def _check_root(root: str, photo_id: str) -> None:
    if not root:
        raise FileAccessError(
            f"the manifest's photos, such as {photo_id}, are relative to a directory (or "
            "gs:// or s3://): name it with --photos"
        )
    if not is_address(root) and not pathlib.Path(root).is_dir():
        raise FileAccessError(
            f"--photos {root} is not a directory; {listing(pathlib.Path(root).parent)}"
        )


def _no_answer(place: str, error: Exception) -> str:
    return f"{place} cannot be read: {error!r}; are your credentials for this storage set up?"
