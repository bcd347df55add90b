"""Fingerprints of photos: equal for equal pictures, close for nearly equal ones."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Hashable, Sequence

import cv2
import imagehash
import numpy as np
from jaxtyping import Bool, Float16, Float32, Int64, UInt8, UInt64
from PIL import Image
from tqdm import tqdm

from fashion_jax.datasets.building.ordered import default_threads, map_in_order
from fashion_jax.datasets.duplicates.equal_pictures import first_rows, picture_digest
from fashion_jax.datasets.photos import THUMBNAIL_SIDE, decode_record, shrink

CELLS = 8
"""Cells of the colour grid on each side."""

_PLAIN = 3.0
_AT_ONCE = 8192

Photo = UInt8[np.ndarray, "height width 3"]
Colours = Float16[np.ndarray, "photos 8 8 3"]
Rows = Int64[np.ndarray, "_"]


@dataclasses.dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of photos, one row each.

    Attributes:
        contents: number of each file's bytes, equal for equal bytes.
        pictures: number of each photo's pixels, equal for equal pixels.
        hashes: perceptual hash of the luminance: pHash, by ImageHash.
        colours: mean colour of each cell of an 8×8 grid, in CIELAB.
        plain: whether the photo shows nothing but one colour, which gives its hash no meaning.
    """

    contents: Int64[np.ndarray, " photos"]
    pictures: Int64[np.ndarray, " photos"]
    hashes: UInt64[np.ndarray, " photos"]
    colours: Colours
    plain: Bool[np.ndarray, " photos"]

    def __len__(self) -> int:
        return len(self.hashes)

    def hash_distances(self, first: Rows, second: Rows) -> UInt8[np.ndarray, " pairs"]:
        """Count the bits that differ, 0..64, pair by pair."""
        return np.bitwise_count(self.hashes[first] ^ self.hashes[second])

    def colour_differences(self, first: Rows, second: Rows) -> Float32[np.ndarray, " pairs"]:
        """See `colour_differences`; block by block."""
        starts = range(0, len(first), _AT_ONCE)
        parts = [slice(start, start + _AT_ONCE) for start in starts]
        found = [
            colour_differences(self.colours[first[part]], self.colours[second[part]])
            for part in parts
        ]
        return np.concatenate([np.empty(0, np.float32), *found])


@dataclasses.dataclass(frozen=True)
class _Fingerprint:
    content: Hashable
    picture: bytes
    hash: int
    colours: Float16[np.ndarray, "8 8 3"]


def read_fingerprints(
    read: Callable[[int], bytes],
    photos: int,
    contents: Sequence[Hashable] | None = None,
    progress: bool = True,
) -> Fingerprints:
    """Read photos once, one after the other, and compute their fingerprints.

    Args:
        read: function that reads the encoded photo of a row; used from several threads.
        photos: number of photos.
        contents: what stands for the bytes of each photo's file; by default the bytes read.
        progress: whether to show a bar.

    Raises:
        FashionJaxError: a photo that cannot be read.
    """
    make = functools.partial(_fingerprint, read, contents)
    made = map_in_order(make, range(photos), default_threads())
    bar = tqdm(made, "compare", photos, unit="photo", disable=not progress, leave=False)
    return _in_columns(list(bar))


def perceptual_hash(image: Photo) -> int:
    """Compute pHash, the signs of the 64 lowest frequencies, of the luminance.

    Resizing, compression and small changes of brightness leave it nearly unchanged. It does not
    depend on colours.
    """
    bits = imagehash.phash(Image.fromarray(image)).hash
    return int.from_bytes(np.packbits(bits).tobytes())


def colour_grid(image: Photo) -> Float16[np.ndarray, "8 8 3"]:
    """Compute the mean colour of each cell of an 8×8 grid, in CIELAB (D65)."""
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return cv2.resize(lab, (CELLS, CELLS), interpolation=cv2.INTER_AREA).astype(np.float16)


def colour_differences(first: Colours, second: Colours) -> Float32[np.ndarray, " photos"]:
    """Return the largest difference between cells of two photos (CIE 1976 ΔE), pair by pair.

    A difference of 2 is barely seen.
    """
    difference = first.astype(np.float32) - second.astype(np.float32)
    return np.sqrt(np.square(difference).sum(-1).max((1, 2)))


def _fingerprint(
    read: Callable[[int], bytes], contents: Sequence[Hashable] | None, row: int
) -> _Fingerprint:
    encoded = read(row)
    image = decode_record(encoded)
    small = shrink(image, THUMBNAIL_SIDE)  # the size of the photos of a catalogue
    content = hashlib.sha256(encoded).digest() if contents is None else contents[row]
    return _Fingerprint(content, picture_digest(image), perceptual_hash(small), colour_grid(small))


def _in_columns(made: Sequence[_Fingerprint]) -> Fingerprints:
    colours = np.array([each.colours for each in made], np.float16).reshape(-1, CELLS, CELLS, 3)
    return Fingerprints(
        first_rows(each.content for each in made),
        first_rows(each.picture for each in made),
        np.array([each.hash for each in made], np.uint64),
        colours,
        _are_plain(colours),
    )


def _are_plain(colours: Colours) -> Bool[np.ndarray, " photos"]:
    means = colours.mean((1, 2), np.float32, keepdims=True).astype(np.float16)
    return colour_differences(colours, np.broadcast_to(means, colours.shape)) <= _PLAIN
