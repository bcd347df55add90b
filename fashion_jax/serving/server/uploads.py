"""Photos of requests: hostile bytes in, pixels out; nothing is written anywhere."""

import threading
from collections.abc import Sequence

from fashion_jax.datasets.photos import decode_photo
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Photo
from fashion_jax.serving.search import crop_to_box

MAX_BYTES = 20 * 2**20
"""Most bytes of a request by default."""

MAX_PIXELS = 50_000_000
"""Most pixels of a photo; decoding takes up to 16 bytes for each."""

MOST_PHOTOS = 8
"""Most photos of a query."""

_AT_ONCE = 2
decoding = threading.BoundedSemaphore(_AT_ONCE)
"""Held while a large photo is decoded: bounds memory."""


def read_uploads(files: Sequence[bytes], box: str | None = None) -> list[Photo]:
    """Decode photos of one garment, and crop a single one to a box.

    Args:
        files: contents of the files, whatever their names and types say.
        box: `x,y,width,height`, in pixels or as fractions.

    Raises:
        UndecodablePhotoError: not a usable photo.
        FashionJaxError: a box that does not fit, or a box for several photos.
    """
    if box is not None and len(files) != 1:
        raise FashionJaxError(f"a box is for a single photo; got {len(files)} photos")
    return [crop_to_box(_decode(file), box) for file in files]


def _decode(data: bytes) -> Photo:
    with decoding:
        return decode_photo(data, MAX_PIXELS)
