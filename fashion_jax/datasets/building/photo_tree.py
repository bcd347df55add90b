"""A tree of raw photos, found by the relative paths that a dataset's lists give them."""

import pathlib
import re
from collections.abc import Callable, Iterable

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.photos import UndecodablePhotoError, read_photo

_DRIVE = re.compile(r"[A-Za-z]:")


def stays_inside(path: str) -> bool:
    """Whether a path out of a list names a file below the folder that it is relative to.

    Lists come from the outside: an absolute path, or one that climbs out with `..`, would have
    files read that are none of the dataset's.
    """
    parts = path.replace("\\", "/").split("/")
    absolute = not parts[0] or _DRIVE.match(path)
    return not absolute and ".." not in parts and "\0" not in path


class PhotoTree:
    """Photos below a folder; a photo's id is its path relative to it, with slashes.

    Nothing is scanned: whether a photo is there is asked when it is needed.

    Args:
        root: the folder.
        places: where the photo of an id may lie, relative to `root`, the likeliest place first; by
            default where the id says.
    """

    def __init__(
        self,
        root: pathlib.Path,
        places: Callable[[str], Iterable[str]] = lambda photo_id: [photo_id],
    ):
        self.root = root
        self._places = places

    def path(self, photo_id: str) -> pathlib.Path | None:
        """The file of a photo; `None` where there is none, or the id leaves the folder."""
        for place in self._places(photo_id):
            if stays_inside(place) and (self.root / place).is_file():
                return self.root / place
        return None

    def __contains__(self, photo_id: object) -> bool:
        return isinstance(photo_id, str) and self.path(photo_id) is not None

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: the file cannot be read, or holds no usable photo.
        """
        path = self.path(photo_id)
        if path is None:
            raise UndecodablePhotoError("unreadable", f"no file {photo_id} in {self.root}")
        return read_photo(path)
