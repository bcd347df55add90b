"""Raw layout of DeepFashion Consumer-to-Shop: places of its lists and photos."""

import pathlib

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.raw_copy import LayoutError, PhotoTree, no_raw_copy
from fashion_jax.datasets.photos import photo_size

BOXES = "Anno/list_bbox_consumer2shop.txt"
PARTITION = "Eval/list_eval_partition.txt"

LOW, HIGH = "img", "img_highres"
"""Folders of the low- and high-resolution photos."""

# Photos come as archives, which people unpack next to Img/ or into it.
_ABOVE_PHOTOS = ("", "Img/")
# img_highres.zip has another name for one folder.
_HIGH_NAMES = {"CLOTHING/Summer_Wear/": "CLOTHING/Summer_Suit/"}


def low_places(photo_id: str) -> list[str]:
    """List the candidate places of a low-resolution photo; its id is a path below `img/`."""
    return [above + photo_id for above in _ABOVE_PHOTOS]


def high_places(photo_id: str) -> list[str]:
    """List the candidate places of the same photo in high resolution."""
    below = photo_id.removeprefix(f"{LOW}/")
    names = [below]
    for listed, real in _HIGH_NAMES.items():
        if below.startswith(listed):
            names.insert(0, real + below.removeprefix(listed))
    return [f"{above}{HIGH}/{name}" for above in _ABOVE_PHOTOS for name in names]


def find_lists(manual_dir: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Find the lists of boxes and of pairs.

    Raises:
        LayoutError: if one of them is missing.
    """
    boxes, partition = manual_dir / BOXES, manual_dir / PARTITION
    lacking = [path for path in (boxes, partition) if not path.is_file()]
    if len(lacking) == 2:
        looked_for = f"{boxes} and {partition}, and for photos in {LOW}/ or {HIGH}/"
        raise no_raw_copy(manual_dir, "DeepFashion Consumer-to-Shop", looked_for, _is_copy)
    if lacking:
        raise LayoutError(f"manual_dir {manual_dir} lacks the list {lacking[0]}")
    return boxes, partition


class HighResolutionPhotos(PhotoTree):
    """Photos of `img_highres/`, with boxes measured on those of `img/`; a `ScalesBoxes`.

    Args:
        manual_dir: directory of the raw copy.
    """

    def __init__(self, manual_dir: pathlib.Path):
        super().__init__(manual_dir, high_places)
        self._low = PhotoTree(manual_dir, low_places)

    def scaled_box(self, photo_id: str, box: Box, height: int, width: int) -> Box | None:
        """Scale a box by the ratio of both photos' sizes, each axis by its own.

        Only the header of the low-resolution photo is read; `None` if that fails.
        """
        path = self._low.path(photo_id)
        size = None if path is None else photo_size(path)
        if size is None:
            return None
        down, across = height / size[0], width / size[1]
        return Box(box.x * across, box.y * down, box.width * across, box.height * down)


def photo_tree(manual_dir: pathlib.Path, resolution: str) -> PhotoTree:
    """Find the photos of a resolution.

    Args:
        manual_dir: directory of the raw copy.
        resolution: `low` or `high`.

    Raises:
        LayoutError: if their folder is missing; with the places searched, and the other resolution
            if that exists.
    """
    folder, other, option = (LOW, HIGH, "high") if resolution == "low" else (HIGH, LOW, "low")
    if _has(manual_dir, folder):
        low = resolution == "low"
        return PhotoTree(manual_dir, low_places) if low else HighResolutionPhotos(manual_dir)
    places = " and ".join(str(manual_dir / above / folder) for above in _ABOVE_PHOTOS)
    hint = f"; {other}/ exists: pass --option.photos={option}" if _has(manual_dir, other) else ""
    raise LayoutError(f"no photo found: looked for {places}{hint}")


def _has(manual_dir: pathlib.Path, folder: str) -> bool:
    return any((manual_dir / above / folder).is_dir() for above in _ABOVE_PHOTOS)


def _is_copy(folder: pathlib.Path) -> bool:
    return (folder / BOXES).is_file()
