"""Equal pictures: pixels as short digests, and the first photo of each picture."""

import hashlib
from collections.abc import Hashable, Iterable

import numpy as np
from jaxtyping import Int64, UInt8

_LEAST_ROWS = 512


def picture_digest(image: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """Hash a photo's size and pixels; of a tall photo, at least 512 rows evenly spaced.

    They tell two photos apart, in a fraction of the time.
    """
    rows = image[:: max(1, len(image) // _LEAST_ROWS)]
    shape = np.array(image.shape).tobytes()
    return hashlib.blake2b(rows.tobytes(), digest_size=16, key=shape).digest()


def first_rows(keys: Iterable[Hashable]) -> Int64[np.ndarray, " rows"]:
    """Return the first row with the same key, for each row."""
    first: dict[Hashable, int] = {}
    rows = [first.setdefault(key, row) for row, key in enumerate(keys)]
    return np.array(rows, np.int64)
