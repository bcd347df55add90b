"""Tiny photos for the raw copies that tests build, whole ones and damaged ones."""

import io
import pathlib

import numpy as np
from jaxtyping import UInt8
from PIL import Image

EMPTY, TRUNCATED, NOT_AN_IMAGE = "empty", "truncated", "not_an_image"


def soft_pattern(number: int, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
    """A pattern of its own for each number, soft enough for JPEG to keep it well."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / (9 + channel) + number) + np.cos(y / 11 + channel) for channel in range(3)]
    return np.rint(127 + 60 * np.stack(waves, axis=2)).astype(np.uint8)


def write_photo(
    path: pathlib.Path, pixels: UInt8[np.ndarray, "height width 3"], damage: str | None = None
) -> None:
    """Write a JPEG; missing folders are made.

    Args:
        path: the file.
        pixels: RGB.
        damage: what is wrong with the file: one of the constants above, or `None`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_content(pixels, damage))


def _content(pixels: UInt8[np.ndarray, "height width 3"], damage: str | None) -> bytes:
    if damage == EMPTY:
        return b""
    if damage == NOT_AN_IMAGE:
        return b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95)
    data = buffer.getvalue()
    return data[: len(data) // 2] if damage == TRUNCATED else data
