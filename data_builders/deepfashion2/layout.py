"""The raw layout of DeepFashion2: where its annotations and photos lie."""

import os
import pathlib
import re

from fashion_jax.datasets.building.photo_tree import PhotoTree
from fashion_jax.datasets.building.raw_folder import LayoutError, no_raw_copy

TRAIN, VALIDATION = "train", "validation"
SETS = (TRAIN, VALIDATION)  # there is a test/ as well, but its annotations are not public

_ANNOTATIONS, _PHOTOS = "annos", "image"
_ANNOTATION_NAME = re.compile(r"(\d+)\.json")
_PHOTO_NAME = re.compile(r"(\d+)\.jpg")


def photo_id(part: str, number: str) -> str:
    """The name of a photo: its set and its number, which is unique only in the set."""
    return f"{part}/{number}"


def find_annotations(manual_dir: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """Finds the annotations of the sets that are there.

    Returns:
        Paths by set, sorted; an empty list for a set that is not there.

    Raises:
        LayoutError: there is no annotation of any set.
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


def find_photos(manual_dir: pathlib.Path) -> PhotoTree:
    """The photos, by set and number.

    Raises:
        LayoutError: there is no folder of photos.
    """
    folders = [manual_dir / part / _PHOTOS for part in SETS]
    if not any(folder.is_dir() for folder in folders):
        places = " and ".join(map(str, folders))
        raise LayoutError(f"no photos found: looked for {places}")

    def places_of(photo: str) -> list[str]:
        part, number = photo.split("/")
        return [f"{part}/{_PHOTOS}/{number}.jpg"]

    return PhotoTree(manual_dir, places_of)


def photo_ids(manual_dir: pathlib.Path, part: str) -> list[str]:
    """Names of all photos of a set, whether they are annotated or not."""
    return [
        photo_id(part, number) for number in _numbered(manual_dir / part / _PHOTOS, _PHOTO_NAME)
    ]


def _numbered(folder: pathlib.Path, name: re.Pattern[str]) -> list[str]:
    """Numbers of the files of that name, sorted; none where there is no folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        return sorted(match[1] for entry in entries if (match := name.fullmatch(entry.name)))


def _is_copy(folder: pathlib.Path) -> bool:
    return any((folder / part / _ANNOTATIONS).is_dir() for part in SETS)
