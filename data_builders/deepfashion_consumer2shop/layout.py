"""The raw layout of DeepFashion Consumer-to-Shop: where its lists and photos lie."""

import pathlib

from fashion_jax.datasets.building.raw_folder import LayoutError, no_raw_copy

BOXES = "Anno/list_bbox_consumer2shop.txt"
PARTITION = "Eval/list_eval_partition.txt"

LOW, HIGH = "img", "img_highres"
"""Folders of the low- and of the high-resolution photos."""

# Photos come as archives, which are unpacked either beside Img/ or in it.
_ABOVE_PHOTOS = ("", "Img/")
_HIGH_NAMES = {"CLOTHING/Summer_Wear/": "CLOTHING/Summer_Suit/"}


def low_places(photo_id: str) -> list[str]:
    """Where a low-resolution photo may lie; its id is its path, which begins with `img/`."""
    return [above + photo_id for above in _ABOVE_PHOTOS]


def high_places(photo_id: str) -> list[str]:
    """Where the same photo in high resolution may lie; one folder has another name there."""
    below = photo_id.removeprefix(f"{LOW}/")
    names = [below]
    for listed, real in _HIGH_NAMES.items():
        if below.startswith(listed):
            names.insert(0, real + below.removeprefix(listed))
    return [f"{above}{HIGH}/{name}" for above in _ABOVE_PHOTOS for name in names]


def find_lists(manual_dir: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """The lists of boxes and of pairs.

    Raises:
        LayoutError: they are not there, or one of them is not.
    """
    boxes, partition = manual_dir / BOXES, manual_dir / PARTITION
    lacking = [path for path in (boxes, partition) if not path.is_file()]
    if len(lacking) == 2:
        looked_for = f"{boxes} and {partition}, and for photos in {LOW}/ or {HIGH}/"
        raise no_raw_copy(manual_dir, "DeepFashion Consumer-to-Shop", looked_for, _is_copy)
    if lacking:
        raise LayoutError(f"manual_dir {manual_dir} lacks the list {lacking[0]}")
    return boxes, partition


def require_photos(manual_dir: pathlib.Path, folder: str) -> None:
    """Refuses a copy without the photos that are asked for.

    Args:
        manual_dir: the raw copy.
        folder: `LOW` or `HIGH`.

    Raises:
        LayoutError: with the folders that were looked for, and the other resolution if that is
            there.
    """
    if _has(manual_dir, folder):
        return
    places = " and ".join(str(manual_dir / above / folder) for above in _ABOVE_PHOTOS)
    other, option = (HIGH, "high") if folder == LOW else (LOW, "low")
    hint = f"; {other}/ is there: pass --option.photos={option}" if _has(manual_dir, other) else ""
    raise LayoutError(f"no photo found: looked for {places}{hint}")


def _has(manual_dir: pathlib.Path, folder: str) -> bool:
    return any((manual_dir / above / folder).is_dir() for above in _ABOVE_PHOTOS)


def _is_copy(folder: pathlib.Path) -> bool:
    return (folder / BOXES).is_file()
