"""Photos from the outside world: hostile bytes in, RGB pixels out; boxes; JPEG.

Bytes that come from links may be anything: a web page, half a file, a GIF named jpg, a picture of
a billion pixels. `decode_photo` gives pixels or one error whose kind can be counted.
"""

import contextlib
import dataclasses
import io
import math
import os
import pathlib
import re

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from fashion_jax.datasets.pillow_warnings import pillow_warnings_ignored
from fashion_jax.datasets.pixels import to_rgb
from fashion_jax.errors import FashionJaxError

UNDECODABLE_KINDS = ("empty", "truncated", "not_an_image", "too_large", "unreadable")

MAX_PIXELS = 64_000_000
"""More than any phone's default; 192 MB once decoded. What is larger is taken for an attack."""

MAX_BYTES = 100 * 2**20
"""A phone's photo has 5 to 20 MB."""

# Pillow can open more, some by way of other programs (EPS runs Ghostscript): photos from strangers
# are not handed to those. A build of Pillow may lack some of these.
_WANTED_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
Image.init()
_FORMATS = tuple(name for name in _WANTED_FORMATS if name in Image.OPEN)

_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM|II\*\x00|MM\x00\*|....ftypavif", re.DOTALL
)


class UndecodablePhotoError(FashionJaxError):
    """Bytes that are no usable photo.

    Attributes:
        kind: one of `UNDECODABLE_KINDS`.
        detail: what exactly is wrong with it.
    """

    def __init__(self, kind: str, detail: str):
        super().__init__(f"photo cannot be decoded ({kind.replace('_', ' ')}): {detail}")
        self.kind = kind
        self.detail = detail


class BoxError(FashionJaxError):
    """A box that cannot be cut out of its photo."""


@dataclasses.dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; the origin is the photo's upper left corner."""

    x: int | float
    y: int | float
    width: int | float
    height: int | float

    def __str__(self) -> str:
        return f"{self.width:g}×{self.height:g} at x={self.x:g}, y={self.y:g}"


@dataclasses.dataclass(frozen=True)
class FittedBox:
    """What is left of a box in a photo.

    Attributes:
        box: whole pixels inside the photo, or `None` where nothing is left of it.
        defect: `empty` (no area), `outside` (nothing of it in the photo), `clipped` (part of it
            outside), or `None` for a good box.
    """

    box: Box | None
    defect: str | None


def decode_photo(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decodes a photo of any common format, strictly.

    The orientation of EXIF is applied, the first frame of an animation taken, transparency laid
    on white, 16 bits reduced to 8, grayscale, palettes and CMYK converted to RGB.

    Args:
        data: content of the file; its name's ending plays no role.

    Returns:
        RGB pixels.

    Raises:
        UndecodablePhotoError: nothing there, cut off or damaged, not an image, or larger than
            `MAX_PIXELS`.
    """
    if not data:
        raise UndecodablePhotoError("empty", "0 bytes")
    with pillow_warnings_ignored():
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise UndecodablePhotoError("too_large", f"{image.width}×{image.height} pixels")
        # Pillow's parsers meet invented lengths and offsets here and raise whatever these lead to.
        try:
            pixels = to_rgb(_upright(image))
        except Exception as error:
            raise UndecodablePhotoError("truncated", f"{image.format}: {error}") from error
    return pixels


def list_photos(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """All files below a folder, sorted by their paths; hidden ones are passed over."""
    root = pathlib.Path(folder)
    names = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    seen = [name.as_posix() for name in names if not any(p.startswith(".") for p in name.parts)]
    return [root / name for name in sorted(seen)]


def read_photo(path: pathlib.Path) -> UInt8[np.ndarray, "height width 3"]:
    """RGB pixels of a photo's file; see `decode_photo`.

    Raises:
        UndecodablePhotoError: the file cannot be read, or holds no usable photo.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UndecodablePhotoError("too_large", f"{path} has {path.stat().st_size:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UndecodablePhotoError("unreadable", str(error)) from error
    return decode_photo(data)


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise UndecodablePhotoError("too_large", str(error)) from error
    except Exception as error:
        if _SIGNATURE.match(data):
            detail = f"{len(data):,} bytes with a broken header"
            raise UndecodablePhotoError("truncated", detail) from error
        detail = f"{len(data):,} bytes that start with {data[:32]!r}"
        raise UndecodablePhotoError("not_an_image", detail) from error


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    # Damaged EXIF is no reason to lose the photo. Pillow turns the pixels before it rewrites the
    # EXIF, so that a photo whose orientation can be read is turned even if the rest cannot.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def encode_jpeg(image: UInt8[np.ndarray, "height width 3"], quality: int = 95) -> bytes:
    """Encodes RGB pixels; the same pixels always give the same bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"OpenCV could not encode an image of shape {image.shape}")
    return data.tobytes()


def fit_box(box: Box, height: int, width: int, margin: float = 0.0) -> FittedBox:
    """Rounds a box to whole pixels and clips it to a photo of `height`×`width` pixels.

    Args:
        box: as found; any finite numbers.
        height: of the photo.
        width: of the photo.
        margin: added on each side, as a fraction of the box's own width and height. What of the
            margin lies outside the photo is cut off and counts as no defect.
    """
    if not (box.width > 0 and box.height > 0):
        return FittedBox(None, "empty")
    if box.x >= width or box.y >= height or box.x + box.width <= 0 or box.y + box.height <= 0:
        return FittedBox(None, "outside")
    inside = box.x >= 0 and box.y >= 0
    inside = inside and box.x + box.width <= width and box.y + box.height <= height
    left, right = _span(box.x, box.width, margin, width)
    top, bottom = _span(box.y, box.height, margin, height)
    fitted = Box(left, top, right - left, bottom - top)
    return FittedBox(fitted, None if inside else "clipped")


def _span(start: int | float, length: int | float, margin: float, limit: int) -> tuple[int, int]:
    """First pixel and the one after the last; at least one pixel, inside 0..limit."""
    first = math.floor(start - margin * length + 0.5)
    last = math.floor(start + length + margin * length + 0.5)
    first = min(max(first, 0), limit - 1)
    return first, min(max(last, first + 1), limit)


def crop(
    image: UInt8[np.ndarray, "height width 3"], box: Box
) -> UInt8[np.ndarray, "box_height box_width 3"]:
    """Cuts a box out of a photo; what lies outside the photo is left out.

    Raises:
        BoxError: the box has no area, or nothing of it lies in the photo.
    """
    height, width = image.shape[:2]
    fitted = fit_box(box, height, width)
    if fitted.box is None:
        problem = "has no area" if fitted.defect == "empty" else "lies entirely outside the photo"
        raise BoxError(f"the box {box} {problem}; the photo is {width}×{height} pixels")
    x, y = int(fitted.box.x), int(fitted.box.y)
    return image[y : y + int(fitted.box.height), x : x + int(fitted.box.width)]


def shrink(
    image: UInt8[np.ndarray, "height width 3"], longest_side: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Reduces a photo so that its longest side has at most `longest_side` pixels."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
