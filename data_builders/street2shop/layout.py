"""Raw layout of Exact Street2Shop: places of its lists and photos."""

import pathlib
import re

from fashion_jax.datasets.building.raw_copy import LayoutError, PhotoFolder, no_raw_copy

ROLES = ("retrieval", "train_pairs", "test_pairs")

_LISTS = "meta/json"
_PHOTO_FOLDERS = ("images", "photos")
_LIST_NAME = re.compile(rf"({'|'.join(ROLES)})_(\w+)\.json")
_PHOTO_NAME = re.compile(r"(\d+)(\.\w+)?")


def photo_name(number: int) -> str:
    """Name a photo: its number, with nine digits."""
    return f"{number:09d}"


def find_lists(manual_dir: pathlib.Path) -> dict[str, dict[str, pathlib.Path]]:
    """Find the lists of all categories.

    Returns:
        Paths by category (sorted) and role.

    Raises:
        LayoutError: if the directory has no lists, or a category lacks one of its three.
    """
    folder = manual_dir / _LISTS
    found: dict[str, dict[str, pathlib.Path]] = {}
    for path in sorted(folder.glob("*.json")):
        if match := _LIST_NAME.fullmatch(path.name):
            found.setdefault(match[2], {})[match[1]] = path
    if not found:
        raise _no_lists(manual_dir)
    lacking = [
        f"{role}_{category}.json"
        for category, paths in sorted(found.items())
        for role in ROLES
        if role not in paths
    ]
    if lacking:
        raise LayoutError(f"{folder} lacks {len(lacking)} list(s): {', '.join(lacking)}")
    return dict(sorted(found.items()))


def scan_photos(manual_dir: pathlib.Path) -> PhotoFolder:
    """Scan the photos, once; the result may be empty."""
    return PhotoFolder([manual_dir / name for name in _PHOTO_FOLDERS], _photo_id)


def require_photos(manual_dir: pathlib.Path) -> PhotoFolder:
    """Scan the photos, once.

    Raises:
        LayoutError: if the raw copy has none.
    """
    photos = scan_photos(manual_dir)
    if not len(photos):
        places = " and ".join(str(manual_dir / name) for name in _PHOTO_FOLDERS)
        raise LayoutError(
            f"no photo found: looked in {places} for files named {photo_name(7)}, "
            "with or without a suffix"
        )
    return photos


def _photo_id(file_name: str) -> str | None:
    match = _PHOTO_NAME.fullmatch(file_name)
    return photo_name(int(match[1])) if match else None


def _no_lists(manual_dir: pathlib.Path) -> LayoutError:
    lists = manual_dir / _LISTS / f"{{{','.join(ROLES)}}}_{{category}}.json"
    looked_for = f"{lists} and for photos in {' or '.join(_PHOTO_FOLDERS)}/"
    return no_raw_copy(manual_dir, "Street2Shop", looked_for, _is_copy)


def _is_copy(folder: pathlib.Path) -> bool:
    return any(folder.glob(f"{_LISTS}/*.json"))
