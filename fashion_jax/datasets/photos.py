"""Photos: hostile bytes in, RGB pixels out; stored records; JPEG and thumbnails.

Bytes from links may be anything: a web page, half a file, a GIF named jpg, an image of a billion
pixels. `decode_photo` returns pixels or raises one error whose kind can be counted.
"""

import contextlib
import contextvars
import io
import os
import pathlib
import threading
import unicodedata
import warnings
from collections.abc import Iterator

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin

from fashion_jax.datasets.colour import srgb_transform
from fashion_jax.datasets.colour_description import without_profile
from fashion_jax.datasets.file_kinds import FORMATS, explain, is_raw_photo
from fashion_jax.datasets.jpeg_end import decode_without_end, lacks_end
from fashion_jax.datasets.pixels import rgb_pixels
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import FileTooLargeError, UnreadableFileError, is_file, open_file, read_file

UNDECODABLE_KINDS = (
    "empty",
    "truncated",
    "not_an_image",
    "unsupported_format",
    "too_large",
    "unreadable",
)
LACKS_LAST_BYTES = "lacks_last_bytes"
"""A defect of photos that are read nevertheless, as all their pixels are there."""

MAX_PIXELS = 65_000_000
"""As many as phones have (9248×6944); decoding takes at most 1 GiB. Larger photos are taken for an
attack."""

MAX_BYTES = 100 * 2**20
"""Limit for files; a phone's photo has 5 to 20 MB."""

LONGEST_SIDE = 65_500
"""Longest side of a JPEG, in pixels."""

THUMBNAIL_SIDE = 160
THUMBNAIL_QUALITY = 80

# Decoders of these take up to 20 and 25 bytes for a pixel, others up to 16.
_MAX_PIXELS = {"WEBP": 50_000_000, "JPEG2000": 40_000_000}

_TILE_WIDTH, _TILE_LENGTH = 322, 323  # TIFF tags

_ON_ITS_SIDE = (5, 6, 7, 8)  # EXIF orientations that exchange height and width

_lock = threading.Lock()
_threads_inside = 0
_warnings_swap = contextlib.ExitStack()
_defects: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("defects", default=None)


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


def decode_photo(data: bytes, max_pixels: int = MAX_PIXELS) -> UInt8[np.ndarray, "height width 3"]:
    """Decode a photo of any common format, strictly.

    Colours are converted to sRGB, by the photo's profile or other description. The EXIF orientation
    is applied, the first frame of an animation is used, transparency becomes white, 16 bits are
    reduced to 8, and grayscale, palettes and CMYK are converted to RGB. A JPEG that lacks its last
    bytes is decoded if it has all pixels; see `collect_defects`.

    Args:
        data: content of the file; its name's suffix is irrelevant.
        max_pixels: limit, if it is lower than that of the format.

    Returns:
        RGB pixels.

    Raises:
        UndecodablePhotoError: if the bytes are empty, truncated, damaged, not an image, or of a
            format that is not read, or if the photo has more than `max_pixels` or `MAX_BYTES`.
    """
    if not data:
        raise UndecodablePhotoError("empty", "0 bytes")
    if len(data) > MAX_BYTES:
        detail = f"more than {MAX_BYTES:,} bytes, the limit; reduce the photo"
        raise UndecodablePhotoError("too_large", detail)
    with _ignore_pillow_warnings():
        image = _open(data)
        # Invented lengths and offsets make Pillow's parsers raise all kinds of exceptions.
        try:
            _check_size(image, max_pixels)
            if image.format in ("JPEG", "MPO") and lacks_end(data):
                return _decode_cut_off(data)
            return _decode(image, data)
        except UndecodablePhotoError:
            raise
        except MemoryError as error:
            detail = f"not enough memory for {image.width}×{image.height} pixels; reduce the photo"
            raise UndecodablePhotoError("too_large", detail) from error
        except Exception as error:
            raise UndecodablePhotoError("truncated", f"{image.format}: {error}") from error


def _decode(image: Image.Image, data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    image.load()
    to_srgb = srgb_transform(image, data)
    # Damaged EXIF is no reason to lose the photo. Pillow turns the pixels before it rewrites the
    # EXIF: an orientation that can be read counts even if the rest cannot.
    with contextlib.suppress(Exception):
        ImageOps.exif_transpose(image, in_place=True)
    return rgb_pixels(image, to_srgb)


def _decode_cut_off(data: bytes) -> UInt8[np.ndarray, "height width 3"]:
    pixels = decode_without_end(data, lambda whole: _decode(_open(whole), whole))
    if pixels is None:
        raise UndecodablePhotoError("truncated", "JPEG: it lacks its end, and pixels with it")
    if (noted := _defects.get()) is not None:
        noted.append(LACKS_LAST_BYTES)
    return pixels


@contextlib.contextmanager
def collect_defects() -> Iterator[list[str]]:
    """Collect the defects of photos that this thread decodes nevertheless.

    Yields:
        A list that grows with them, such as `[LACKS_LAST_BYTES]`.
    """
    found: list[str] = []
    token = _defects.set(found)
    try:
        yield found
    finally:
        _defects.reset(token)


def _open(data: bytes) -> Image.Image:
    if is_raw_photo(data):
        detail = "a camera's raw photo, of which only a thumbnail could be read; export it as JPEG"
        raise UndecodablePhotoError("unsupported_format", detail)
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError:
        return _open_any_size(data)
    except Exception as error:
        smaller = without_profile(data)  # Pillow refuses a PNG whose profile is large
        if smaller is None:
            raise UndecodablePhotoError(*explain(data)) from error
        return _open_any_size(smaller)


def _open_any_size(data: bytes) -> Image.Image:
    """Open a photo beyond Pillow's own limit, whose message does not name width and height."""
    with _lock:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        except Exception as error:
            raise UndecodablePhotoError(*explain(data)) from error
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_size(image: Image.Image, max_pixels: int) -> None:
    most = min(max_pixels, _MAX_PIXELS.get(image.format or "", MAX_PIXELS))
    sizes = [image.size]
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _TILE_WIDTH in image.tag_v2:
        # A tile is decoded whole, even one that is much larger than the image.
        sizes.append((image.tag_v2[_TILE_WIDTH], image.tag_v2[_TILE_LENGTH]))
    for width, height in sizes:
        if width * height > most:
            raise UndecodablePhotoError(
                "too_large",
                f"{width}×{height} are {width * height / 1e6:,.1f} megapixels; the limit for "
                f"{image.format} is {most / 1e6:g}; reduce the photo",
            )


def list_photos(folder: str | os.PathLike[str]) -> list[pathlib.Path]:
    """List all files below a folder, sorted by path; hidden files and folders are skipped.

    Links to folders are followed, each folder once.

    Raises:
        OSError: if a folder cannot be listed; with its name.
    """
    root, names, seen = pathlib.Path(folder), [], set()
    for place, folders, files in os.walk(root, onerror=_raise, followlinks=True):
        status = pathlib.Path(place).stat()
        again = (status.st_dev, status.st_ino) in seen
        seen.add((status.st_dev, status.st_ino))
        # Changed in place: the folders that are visited next, in an order that repeats itself.
        folders[:] = [] if again else sorted(n for n in folders if not n.startswith("."))
        paths = [pathlib.Path(place, name) for name in files if not name.startswith(".")]
        names += [] if again else [p.relative_to(root).as_posix() for p in paths if is_file(p)]
    return [root / name for name in sorted(names)]


def _raise(error: OSError) -> None:
    raise error


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
    return decode_photo(photo_bytes(path))


def photo_bytes(path: pathlib.Path) -> bytes:
    """Read a photo's file, without decoding it.

    Raises:
        UndecodablePhotoError: if the file cannot be read, or is larger than any photo.
    """
    try:
        return read_file(path, MAX_BYTES)
    except FileTooLargeError as error:
        raise UndecodablePhotoError("too_large", f"{error}; reduce the photo") from error
    except UnreadableFileError as error:
        raise UndecodablePhotoError("unreadable", str(error)) from error


def photo_size(path: pathlib.Path) -> tuple[int, int] | None:
    """Read the upright height and width from a file's header; `None` for an unreadable header."""
    with _ignore_pillow_warnings():
        try:
            with open_file(path, MAX_BYTES) as file, Image.open(file, formats=FORMATS) as image:
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
    pixels = None
    with contextlib.suppress(cv2.error):  # of an empty record
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
    with _lock:
        if _threads_inside == 0:
            _warnings_swap.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _threads_inside += 1
    try:
        yield
    finally:
        with _lock:
            _threads_inside -= 1
            if _threads_inside == 0:
                _warnings_swap.close()
