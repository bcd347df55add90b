"""Consumer-to-Shop's photos in high resolution, with boxes measured on the low-resolution ones."""

import pathlib

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.building.photo_tree import PhotoTree
from fashion_jax.datasets.photos import photo_size

from .layout import high_places, low_places


class HighResolutionPhotos(PhotoTree):
    """Photos of `img_highres/`; a `PhotoSource` that `ScalesBoxes`.

    Args:
        manual_dir: the raw copy.
    """

    def __init__(self, manual_dir: pathlib.Path):
        super().__init__(manual_dir, high_places)
        self._low = PhotoTree(manual_dir, low_places)

    def scaled_box(self, photo_id: str, box: Box, height: int, width: int) -> Box | None:
        """The box times the ratio of both photos' sizes, of each axis its own.

        Of the low-resolution photo only the header is read; `None` where that cannot be done.
        """
        path = self._low.path(photo_id)
        size = None if path is None else photo_size(path)
        if size is None:
            return None
        down, across = height / size[0], width / size[1]
        return Box(box.x * across, box.y * down, box.width * across, box.height * down)
