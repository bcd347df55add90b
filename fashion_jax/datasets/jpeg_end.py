"""JPEGs that lack their last bytes: whether they have all pixels nevertheless."""

import hashlib
import re
from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import UInt8

Pixels = UInt8[np.ndarray, "height width 3"]

_END, _SCAN = 0xD9, 0xDA
_END_BYTES = b"\xff\xd9"
_MARKER = re.compile(rb"\xff([\xc0-\xcf\xd9-\xfe])")
_TABLES = (0xC4, 0xC8, 0xCC)  # among the markers of frames
_NEVER_WRITTEN = b"\x00" * 16  # tail of a file whose size was set before it was filled


def _filling(bits: bytes, first: int) -> bytes:
    """Make data for a decoder that goes on, at once or at any marker at which it starts anew."""
    markers = [0xD0 + (first + number) % 8 for number in range(8)]
    return bits + b"".join(bytes([0xFF, marker]) + bits for marker in markers)


# Appended in place of the missing bytes; every bit of one differs from that of the other.
_FILLINGS = _filling(bytes(range(1, 255)), 0), _filling(bytes(range(254, 0, -1)), 4)


def lacks_end(data: bytes) -> bool:
    """Whether a JPEG ends before its end marker; bytes after the marker do not matter."""
    return not data.endswith(_END_BYTES) and all(marker != _END for marker, _ in _segments(data))


def decode_without_end(data: bytes, decode: Callable[[bytes], Pixels]) -> Pixels | None:
    """Decode a JPEG that lacks its last bytes, if no pixel depends on them.

    What is appended in their place changes the picture if, and only if, pixels are missing.

    Args:
        data: the JPEG; see `lacks_end`.
        decode: decoder, which may raise any exception.

    Returns:
        Pixels, or `None` if some are missing.
    """
    if data.endswith(_NEVER_WRITTEN) or not _has_all_scans(data):
        return None
    start = data.removesuffix(_END_BYTES[:1])
    try:
        expected = _digest(decode(start + _FILLINGS[0] + _END_BYTES))
        pixels = decode(start + _FILLINGS[1] + _END_BYTES)
    except Exception:  # what was appended became part of a table
        return None
    return pixels if _digest(pixels) == expected else None


def _digest(pixels: Pixels) -> bytes:
    return hashlib.blake2b(pixels.data).digest()


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers up to the end marker, each with the content of its segment."""
    position = 2
    while match := _MARKER.search(data, position):
        marker, start = match[1][0], match.end() + 2
        position = max(start, match.end() + int.from_bytes(data[match.end() : start]))
        yield marker, data[start:position]
        if marker == _END:
            return


def _has_all_scans(data: bytes) -> bool:
    """Whether all coefficients of all components are there, to the last bit.

    A progressive JPEG sends them in several scans, and one that ends after any of them looks whole.
    """
    components, sent = 0, set()
    for marker, segment in _segments(data):
        if marker <= 0xCF and marker not in _TABLES and len(segment) > 5:
            components = segment[5]
        elif marker == _SCAN and len(segment) > 5:
            first, last, bits = segment[-3:]
            if not bits & 0x0F:  # no bits are left to later scans
                of = segment[1 : 1 + 2 * segment[0] : 2]
                sent |= {(each, at) for each in of for at in range(first, min(last, 63) + 1)}
    return 0 < 64 * components <= len(sent)
