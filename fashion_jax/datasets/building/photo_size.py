"""The size of a photo, out of its file's header alone."""

import pathlib

from PIL import Image

from fashion_jax.datasets.pillow_warnings import pillow_warnings_ignored

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_ORIENTATION_TAG = 0x0112
_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that exchange height and width


def photo_size(path: pathlib.Path) -> tuple[int, int] | None:
    """Height and width in pixels, upright as EXIF says; `None` where no header can be read."""
    with pillow_warnings_ignored():
        # Pillow's parsers raise whatever invented headers lead them to.
        try:
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(_ORIENTATION_TAG) in _ON_ITS_SIDE
        except Exception:
            return None
    return (width, height) if turned else (height, width)
