"""Raw copies of datasets: the error for a wrong directory, and the photos below the right one."""

import os
import pathlib
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from jaxtyping import UInt8

from fashion_jax.datasets.photos import UndecodablePhotoError, read_photo
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import is_file

_DRIVE = re.compile(r"[A-Za-z]:")


class LayoutError(FashionJaxError):
    """A directory without a raw copy of the dataset."""


def no_raw_copy(
    manual_dir: pathlib.Path,
    dataset: str,
    looked_for: str,
    is_copy: Callable[[pathlib.Path], bool],
) -> LayoutError:
    """Make the error for a directory without a raw copy.

    Args:
        manual_dir: the directory.
        dataset: name of the dataset, for people.
        looked_for: files or directories that make a raw copy.
        is_copy: test for a raw copy; a directory just above or below that passes is named.
    """
    state = "holds no raw copy of " + dataset if manual_dir.exists() else "does not exist"
    below = sorted(path for path in manual_dir.glob("*") if path.is_dir())
    above = list(manual_dir.parents)[:2]
    nearby = next((path for path in (*below, *above) if is_copy(path)), None)
    hint = f"; did you mean {nearby}?" if nearby else ""
    return LayoutError(f"manual_dir {manual_dir} {state}: looked for {looked_for}{hint}")


def stays_inside(path: str) -> bool:
    """Whether a path from a list names a file below the directory it is relative to.

    Lists come from outside: an absolute path, or one that climbs out with `..`, would make us read
    files that are not the dataset's.
    """
    parts = path.replace("\\", "/").split("/")
    absolute = not parts[0] or _DRIVE.match(path)
    return not absolute and ".." not in parts and "\0" not in path


class PhotoTree:
    """Photos below a directory; the id of a photo is its relative path, with slashes.

    Nothing is scanned: each photo is looked up when it is needed.

    Args:
        root: the directory.
        places: candidate paths of a photo id, relative to `root`, the likeliest first (default:
            the id itself).
    """

    def __init__(
        self,
        root: pathlib.Path,
        places: Callable[[str], Iterable[str]] = lambda photo_id: [photo_id],
    ):
        self.root = root
        self._places = places

    def path(self, photo_id: str) -> pathlib.Path | None:
        """Find the file of a photo; `None` if it is missing, or the id leaves the directory."""
        for place in self._places(photo_id):
            if stays_inside(place) and is_file(self.root / place):
                return self.root / place
        return None

    def __contains__(self, photo_id: object) -> bool:
        return isinstance(photo_id, str) and self.path(photo_id) is not None

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: if the file cannot be read, or holds no usable photo.
        """
        path = self.path(photo_id)
        if path is None:
            raise UndecodablePhotoError("unreadable", f"no file {photo_id} in {self.root}")
        return read_photo(path)


class PhotoFolder:
    """Photos in one or more directories, scanned once and found by a part of their names.

    Args:
        folders: directories in order of precedence, without subdirectories; missing ones are
            skipped.
        photo_id_of: photo id of a file name, or `None` for other files.

    Attributes:
        duplicates: ids of photos found more than once; the first file counts.
    """

    def __init__(self, folders: Sequence[pathlib.Path], photo_id_of: Callable[[str], str | None]):
        self._files: dict[str, str] = {}
        self.duplicates: list[str] = []
        for folder in folders:
            if folder.is_dir():
                self._scan(folder, photo_id_of)

    def _scan(self, folder: pathlib.Path, photo_id_of: Callable[[str], str | None]) -> None:
        with os.scandir(folder) as entries:
            files = sorted((entry.name, entry.path) for entry in entries if is_file(entry.path))
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

    def load(self, photo_id: str) -> UInt8[np.ndarray, "height width 3"]:
        """Read RGB pixels of a photo.

        Raises:
            UndecodablePhotoError: if the file cannot be read, or holds no usable photo.
        """
        return read_photo(pathlib.Path(self._files[photo_id]))
