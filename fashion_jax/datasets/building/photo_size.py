"""Reads a photo's size from its header alone; turning its pixels would mean decoding them."""

import pathlib

from PIL import ExifTags, Image

from fashion_jax.datasets.pillow_warnings import pillow_warnings_ignored

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that exchange height and width


def photo_size(path: pathlib.Path) -> tuple[int, int] | None:
    """Returns height and width in pixels, upright as EXIF says; `None` for an unreadable header."""
    with pillow_warnings_ignored():
        # Pillow's parsers raise whatever invented headers lead them to.
        try:
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
        except Exception:
            return None
    return (width, height) if turned else (height, width)
