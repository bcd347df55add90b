"""Raw layout of Market-1501: three folders of photos, whose names hold all annotations."""

import dataclasses
import os
import pathlib
import re

from fashion_jax.datasets.building.raw_copy import LayoutError, PhotoTree, no_raw_copy
from fashion_jax.datasets.records import LARGEST_CAMERA

TRAIN, QUERY, TEST = "bounding_box_train", "query", "bounding_box_test"
FOLDERS = (TRAIN, QUERY, TEST)

JUNK, DISTRACTOR = -1, 0

# One photo of real copies ends in .jpg.jpg.
_NAME = re.compile(r"(-1|\d+)_c(\d+)s\d+_\d+_\d+(?:\.jpg)+", re.IGNORECASE)
_ENDING = ".jpg"  # other files, such as Thumbs.db, are skipped


@dataclasses.dataclass(frozen=True, slots=True)
class NamedPhoto:
    """Annotations in a photo's name.

    Attributes:
        photo_id: folder and name, as in `query/0002_c1s1_000451_03.jpg`.
        person: identity, `JUNK` or `DISTRACTOR`.
        camera: number of the camera, from 1.
    """

    photo_id: str
    person: int
    camera: int


@dataclasses.dataclass(frozen=True)
class PhotoListing:
    """All photos of a raw copy.

    Attributes:
        folders: photos by folder, sorted by name; an empty list for a missing folder.
        misnamed: names without annotations.
        source: source of their pixels.
    """

    folders: dict[str, list[NamedPhoto]]
    misnamed: list[str]
    source: PhotoTree


def read_photo_names(manual_dir: pathlib.Path) -> PhotoListing:
    """List the photos of all folders, once.

    Raises:
        LayoutError: if all folders are missing, or hold no photo.
    """
    if not _is_copy(manual_dir):
        looked_for = f"{manual_dir}/{{{','.join(FOLDERS)}}}/0002_c1s1_000451_03.jpg"
        raise no_raw_copy(manual_dir, "Market-1501", looked_for, _is_copy)
    photos: dict[str, list[NamedPhoto]] = {folder: [] for folder in FOLDERS}
    misnamed = []
    for folder in FOLDERS:
        for name in _photo_names(manual_dir / folder):
            photo = _parse(folder, name)
            if photo is None:
                misnamed.append(f"{folder}/{name}")
            else:
                photos[folder].append(photo)
    if not any(photos.values()):
        places = ", ".join(str(manual_dir / folder) for folder in FOLDERS)
        raise LayoutError(
            f"no photo found: looked in {places} for files named like 0002_c1s1_000451_03.jpg"
            + (f"; {len(misnamed):,} have other names, such as {misnamed[0]}" if misnamed else "")
        )
    return PhotoListing(photos, misnamed, PhotoTree(manual_dir))


def _photo_names(folder: pathlib.Path) -> list[str]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.name.lower().endswith(_ENDING))


def _parse(folder: str, name: str) -> NamedPhoto | None:
    match = _NAME.fullmatch(name)
    if match is None or int(match[2]) > LARGEST_CAMERA:
        return None
    return NamedPhoto(f"{folder}/{name}", int(match[1]), int(match[2]))


def _is_copy(folder: pathlib.Path) -> bool:
    # Other datasets may have a folder named query.
    return any((folder / name).is_dir() for name in (TRAIN, TEST))
