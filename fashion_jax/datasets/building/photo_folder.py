"""A folder of raw photos, found by number, whatever their endings say."""

import os
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.photos import read_photo


class PhotoFolder:
    """Photos of one or more folders, scanned once.

    Args:
        folders: searched in this order, without their subfolders; those that do not exist are
            skipped.
        photo_id_of: gives the photo id for a file name, or `None` for what is no photo.
    """

    def __init__(self, folders: Sequence[pathlib.Path], photo_id_of: Callable[[str], str | None]):
        self._files: dict[str, str] = {}
        self.duplicates: list[str] = []
        for folder in folders:
            if folder.is_dir():
                self._scan(folder, photo_id_of)

    def _scan(self, folder: pathlib.Path, photo_id_of: Callable[[str], str | None]) -> None:
        with os.scandir(folder) as entries:
            files = sorted((entry.name, entry.path) for entry in entries if entry.is_file())
        for name, path in files:
            photo_id = photo_id_of(name)
            if photo_id is None:
                continue
            if photo_id in self._files:
                self.duplicates.append(photo_id)
            else:
                self._files[photo_id] = path

    def __contains__(self, photo_id: object) -> bool:
        return photo_id in self._files

    def __len__(self) -> int:
        return len(self._files)

    def path(self, photo_id: str) -> pathlib.Path:
        """The file of a photo."""
        return pathlib.Path(self._files[photo_id])

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: the file cannot be read, or holds no usable photo.
        """
        return read_photo(self.path(photo_id))
