"""Raw layout of DeepFashion2: places of its annotations and photos."""

import os
import pathlib
import re

from fashion_jax.datasets.building.raw_copy import LayoutError, PhotoTree, no_raw_copy

TRAIN, VALIDATION = "train", "validation"
SETS = (TRAIN, VALIDATION)  # the annotations of test/ are not public

_ANNOTATIONS, _PHOTOS = "annos", "image"
_ANNOTATION_NAME = re.compile(r"(\d+)\.json")
_PHOTO_NAME = re.compile(r"(\d+)\.jpg")


def photo_id(part: str, number: str) -> str:
    """Name a photo: its set and its number, which is unique only in the set."""
    return f"{part}/{number}"


def find_annotations(manual_dir: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Find the annotations of all sets.

    Returns:
        Paths by set, sorted; an empty list for a missing set.

    Raises:
        LayoutError: if no set has annotations.
    """
    found = {part: _numbered(manual_dir / part / _ANNOTATIONS, _ANNOTATION_NAME) for part in SETS}
    if not any(found.values()):
        sets = f"{manual_dir}/{{{','.join(SETS)}}}"
        looked_for = f"{sets}/{_ANNOTATIONS}/000001.json and {sets}/{_PHOTOS}/000001.jpg"
        raise no_raw_copy(manual_dir, "DeepFashion2", looked_for, _is_copy)
    return {
        part: [manual_dir / part / _ANNOTATIONS / f"{number}.json" for number in numbers]
        for part, numbers in found.items()
    }


def photo_tree(manual_dir: pathlib.Path) -> PhotoTree:
    """Find the photos, by set and number.

    Raises:
        LayoutError: if all folders of photos are missing.
    """
    folders = [manual_dir / part / _PHOTOS for part in SETS]
    if not any(folder.is_dir() for folder in folders):
        places = " and ".join(map(str, folders))
        raise LayoutError(f"no photos found: looked for {places}")
    return PhotoTree(manual_dir, _places_of)


def _places_of(photo: str) -> list[str]:
    part, number = photo.split("/")
    return [f"{part}/{_PHOTOS}/{number}.jpg"]


def photo_ids(manual_dir: pathlib.Path, part: str) -> list[str]:
    """List the names of all photos of a set, annotated or not."""
    return [
        photo_id(part, number) for number in _numbered(manual_dir / part / _PHOTOS, _PHOTO_NAME)
    ]


def _numbered(folder: pathlib.Path, name: re.Pattern[str]) -> list[str]:
    """List the numbers of the files with a name, sorted; none for a missing folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(match[1] for entry in entries if (match := name.fullmatch(entry.name)))


def _is_copy(folder: pathlib.Path) -> bool:
    return any((folder / part / _ANNOTATIONS).is_dir() for part in SETS)
