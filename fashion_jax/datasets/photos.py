"""Photos: hostile bytes in, RGB pixels out; stored records; JPEG and thumbnails.

Bytes from links may be anything: a web page, half a file, a GIF named jpg, an image of a billion
pixels. `decode_photo` returns pixels or raises one error whose kind can be counted.
"""

import contextlib
import io
import os
import pathlib
import re
import threading
import unicodedata
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import ExifTags, Image, ImageOps

from fashion_jax.errors import FashionJaxError

UNDECODABLE_KINDS = ("empty", "truncated", "not_an_image", "too_large", "unreadable")

MAX_PIXELS = 64_000_000
"""More than any phone's default; 192 MB once decoded. Larger photos are taken for an attack."""

MAX_BYTES = 100 * 2**20
"""Limit for files; a phone's photo has 5 to 20 MB."""

THUMBNAIL_SIDE = 160
THUMBNAIL_QUALITY = 80

# Pillow can open more, some by way of other programs (EPS runs Ghostscript): photos from strangers
# are not handed to those. A build of Pillow may lack some of these.
_WANTED_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
Image.init()
_FORMATS = tuple(name for name in _WANTED_FORMATS if name in Image.OPEN)

_SIGNATURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|BM|II\*\x00|MM\x00\*|....ftypavif", re.DOTALL
)

_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that exchange height and width

_warnings_lock = threading.Lock()
_threads_inside = 0
_warnings_swap = contextlib.ExitStack()


class UndecodablePhotoError(FashionJaxError):
    """Bytes that cannot be used as a photo.

    Attributes:
        kind: one of `UNDECODABLE_KINDS`.
        detail: exact problem.
    """

    def __init__(self, kind: str, detail: str):
        super().__init__(f"photo cannot be decoded ({kind.replace('_', ' ')}): {detail}")
        self.kind = kind
        self.detail = detail


def decode_photo(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decode a photo of any common format, strictly.

    The EXIF orientation is applied, the first frame of an animation is used, transparency becomes
    white, 16 bits are reduced to 8, and grayscale, palettes and CMYK are converted to RGB.

    Args:
        data: content of the file; its name's suffix is irrelevant.

    Returns:
        RGB pixels.

    Raises:
        UndecodablePhotoError: if the bytes are empty, truncated, damaged or not an image, or if
            the image has more than `MAX_PIXELS`.
    """
    if not data:
        raise UndecodablePhotoError("empty", "0 bytes")
    with _ignore_pillow_warnings():
        image = _open(data)
        if image.width * image.height > MAX_PIXELS:
            raise UndecodablePhotoError("too_large", f"{image.width}×{image.height} pixels")
        # Invented lengths and offsets make Pillow's parsers raise all kinds of exceptions.
        try:
            image.load()
            # Damaged EXIF is no reason to lose the photo. Pillow turns the pixels before it
            # rewrites the EXIF: an orientation that can be read counts even if the rest cannot.
            with contextlib.suppress(Exception):
                ImageOps.exif_transpose(image, in_place=True)
            pixels = _to_rgb(image)
        except Exception as error:
            raise UndecodablePhotoError("truncated", f"{image.format}: {error}") from error
    return pixels


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


def list_photos(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """List all files below a folder, sorted by path; hidden files and folders are skipped."""
    root = pathlib.Path(folder)
    names = [path.relative_to(root) for path in root.rglob("*") if path.is_file()]
    seen = [name.as_posix() for name in names if not any(p.startswith(".") for p in name.parts)]
    return [root / name for name in sorted(seen)]


def find_file(root: pathlib.Path, name: str) -> pathlib.Path:
    """Path of a file below a folder, by a name from a list.

    Disks of other systems hold `é` in one character or in two; a list may have the other form.
    """
    path = root / name
    for form in ("NFC", "NFD"):
        if os.path.lexists(path):
            break
        other = root / unicodedata.normalize(form, name)
        if os.path.lexists(other):
            return other
    return path


def read_photo(path: pathlib.Path) -> UInt8[np.ndarray, "height width 3"]:
    """Read RGB pixels from a photo's file; see `decode_photo`.

    Raises:
        UndecodablePhotoError: if the file cannot be read, or holds no usable photo.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UndecodablePhotoError("too_large", f"{path} has {path.stat().st_size:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise UndecodablePhotoError("unreadable", str(error)) from error
    return decode_photo(data)


def photo_size(path: pathlib.Path) -> tuple[int, int] | None:
    """Read the upright height and width from a file's header; `None` for an unreadable header."""
    with _ignore_pillow_warnings():
        try:
            with Image.open(path, formats=_FORMATS) as image:
                width, height = image.size
                turned = image.getexif().get(ExifTags.Base.Orientation) in _ON_ITS_SIDE
        except Exception:  # see `decode_photo`
            return None
    return (width, height) if turned else (height, width)


def decode_record(encoded: bytes) -> UInt8[np.ndarray, "height width 3"]:
    """Decode the photo of a built record to RGB, at its stored size.

    Raises:
        FashionJaxError: if the record is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR_RGB)
    if pixels is None:
        raise FashionJaxError("a record's photo cannot be decoded: the built dataset is damaged")
    return pixels


def encode_jpeg(image: UInt8[np.ndarray, "height width 3"], quality: int = 95) -> bytes:
    """Encode RGB pixels; the same pixels always give the same bytes."""
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"OpenCV could not encode an image of shape {image.shape}")
    return data.tobytes()


def shrink(
    image: UInt8[np.ndarray, "height width 3"], longest_side: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """Reduce an image so that its longest side has at most `longest_side` pixels."""
    height, width = image.shape[:2]
    scale = longest_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def encode_thumbnail(
    image: UInt8[np.ndarray, "height width 3"], longest_side: int = THUMBNAIL_SIDE
) -> bytes:
    """Encode RGB pixels as a small JPEG for ranked lists."""
    return encode_jpeg(shrink(image, longest_side), THUMBNAIL_QUALITY)


def thumbnail(encoded: bytes, longest_side: int = THUMBNAIL_SIDE) -> bytes:
    """Reduce the photo of a built record to a small JPEG; see `decode_record`."""
    return encode_thumbnail(decode_record(encoded), longest_side)


@contextlib.contextmanager
def _ignore_pillow_warnings() -> Iterator[None]:
    """Ignore warnings from Pillow's modules about odd files, in any number of threads.

    `warnings.catch_warnings` swaps a list that all threads share: two overlapping threads would
    restore the wrong one. Here the first to enter swaps, and the last to leave restores.
    """
    global _threads_inside
    with _warnings_lock:
        if _threads_inside == 0:
            _warnings_swap.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _threads_inside += 1
    try:
        yield
    finally:
        with _warnings_lock:
            _threads_inside -= 1
            if _threads_inside == 0:
                _warnings_swap.close()


def _to_rgb(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    """Convert an image of any mode; transparency becomes white, the background of shops' pages."""
    if image.mode.startswith("I;16"):
        return _gray(np.asarray(image).astype(np.float64) / 257)  # 65535 / 255
    if image.mode in ("I", "F"):
        return _gray(_to_byte_range(np.asarray(image).astype(np.float64)))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return _on_white(image)
    return np.array(image.convert("RGB"))


def _gray(values: Float[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width 3"]:
    levels = np.clip(np.rint(np.nan_to_num(values)), 0, 255).astype(np.uint8)
    return np.repeat(levels[:, :, None], 3, axis=2)


def _to_byte_range(values: Float[np.ndarray, "height width"]) -> Float[np.ndarray, "height width"]:
    """Scale a 32-bit image, which does not record its white level: 1, 255 or 65535 by its range."""
    highest = np.nanmax(values, initial=0)
    white = 1 if highest <= 1 else 255 if highest <= 255 else 65535
    return values * (255 / white)


def _on_white(image: Image.Image) -> UInt8[np.ndarray, "height width 3"]:
    if image.mode in ("RGBa", "La"):  # Pillow converts these only to their own kind
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[image.mode])
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return np.array(Image.alpha_composite(white, rgba).convert("RGB"))
