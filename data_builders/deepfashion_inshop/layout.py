"""Raw layout of DeepFashion In-Shop: places of its lists and photos."""

import functools
import pathlib
from collections.abc import Iterator, Sequence

from fashion_jax.datasets.building.raw_copy import LayoutError, PhotoTree, no_raw_copy

PARTITION = "Eval/list_eval_partition.txt"
BOXES = "Anno/list_bbox_inshop.txt"

PHOTOS = "img"
_PHOTO_FOLDERS = (PHOTOS, f"Img/{PHOTOS}")  # img.zip is kept in Img/ and may be unpacked there
_HIGH_RESOLUTION = ("img_highres", "Img/img_highres")


def find_lists(manual_dir: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Find the two lists.

    Returns:
        List of the partition, list of the boxes.

    Raises:
        LayoutError: if one of them is missing.
    """
    paths = (manual_dir / PARTITION, manual_dir / BOXES)
    lacking = [path for path in paths if not path.is_file()]
    if len(lacking) == 2:
        looked_for = f"{' and '.join(map(str, paths))}, and for photos in {PHOTOS}/"
        raise no_raw_copy(manual_dir, "DeepFashion In-Shop", looked_for, _is_copy)
    if lacking:
        raise LayoutError(
            f"manual_dir {manual_dir} lacks {lacking[0].relative_to(manual_dir)}: complete the "
            "raw copy, or give one of DeepFashion In-Shop"
        )
    return paths


def photo_tree(manual_dir: pathlib.Path) -> PhotoTree:
    """Find the photos, by their names in the lists.

    Raises:
        LayoutError: if the folder of photos is missing.
    """
    folders = [folder for folder in _PHOTO_FOLDERS if (manual_dir / folder).is_dir()]
    if not folders:
        places = " and ".join(str(manual_dir / folder) for folder in _PHOTO_FOLDERS)
        raise LayoutError(f"no photos found: looked for {places}{_high_resolution(manual_dir)}")
    return PhotoTree(manual_dir, functools.partial(_places_of, folders))


def _places_of(folders: Sequence[str], photo_id: str) -> Iterator[str]:
    for folder in folders:
        yield folder + photo_id.removeprefix(PHOTOS)


def _is_copy(folder: pathlib.Path) -> bool:
    return (folder / BOXES).is_file()  # the other list has the same name in other datasets


def _high_resolution(manual_dir: pathlib.Path) -> str:
    """Make a hint if only photos exist that the boxes do not fit."""
    found = [folder for folder in _HIGH_RESOLUTION if (manual_dir / folder).is_dir()]
    if not found:
        return ""
    return f"; {found[0]}/ exists, but the boxes are in pixels of {PHOTOS}/: unpack img.zip"
