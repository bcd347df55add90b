"""Small copies of photos, for ranked lists."""

import cv2
import numpy as np

from fashion_jax.errors import FashionJaxError

LONGEST_SIDE = 160
JPEG_QUALITY = 80


def thumbnail(encoded: bytes, longest_side: int = LONGEST_SIDE) -> bytes:
    """A record's photo as a JPEG of at most so many pixels on its longer side.

    Raises:
        FashionJaxError: if the record is damaged.
    """
    pixels = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise FashionJaxError("a record's photo cannot be decoded: the built dataset is damaged")
    scale = min(1.0, longest_side / max(pixels.shape[:2]))
    if scale < 1.0:
        size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
