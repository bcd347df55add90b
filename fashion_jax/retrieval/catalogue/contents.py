"""The photos of a catalogue: the rows of its segments, without removed ones."""

import functools
import pathlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Int32

from fashion_jax.retrieval.catalogue.items import Item
from fashion_jax.retrieval.catalogue.manifest import Manifest, Rows, read_removed
from fashion_jax.retrieval.catalogue.segment import Segment

_BLOCK = 4096


class Contents:
    """The photos of a catalogue, numbered from 0: segment by segment, row by row.

    Attributes:
        manifest: the catalogue's manifest.
        segments: segments, in order.
        removed: removed rows, by segment.
        kept: rows of each segment that are not removed.
    """

    def __init__(
        self, manifest: Manifest, segments: Sequence[Segment], removed: Mapping[str, Rows]
    ) -> None:
        """See `read`."""
        self.manifest = manifest
        self.segments = segments
        self.removed = removed
        nothing = np.empty(0, np.int64)
        self.kept = [
            np.setdiff1d(np.arange(s.entry.rows), removed.get(s.entry.data, nothing))
            for s in segments
        ]
        self._starts = np.cumsum([0, *map(len, self.kept)])

    @classmethod
    def read(cls, folder: pathlib.Path, manifest: Manifest | None = None) -> "Contents":
        """Read the manifest and the removed rows; segments are opened when they are used.

        Args:
            folder: folder of the catalogue.
            manifest: the catalogue's manifest, if it was read already.

        Raises:
            StorageError: not a catalogue, or a manifest or list of removed rows that is damaged.
            ModelCardError: a model card of another version.
        """
        manifest = manifest or Manifest.read(folder)
        segments = [Segment(folder / entry.data, entry) for entry in manifest.segments]
        return cls(manifest, segments, read_removed(folder, manifest.removed))

    def __len__(self) -> int:
        """Number of photos."""
        return int(self._starts[-1])

    @functools.cached_property
    def items(self) -> list[Item]:
        """Items, one per photo."""
        return [
            segment.items[row]
            for segment, kept in zip(self.segments, self.kept, strict=True)
            for row in kept.tolist()
        ]

    def locate(self, photo: int) -> tuple[int, int]:
        """Return the segment of a photo and its row there."""
        segment = int(np.searchsorted(self._starts, photo, side="right")) - 1
        return segment, int(self.kept[segment][photo - self._starts[segment]])

    def photo_numbers(self, segment: int) -> Int32[np.ndarray, " rows"]:
        """Return the photo number of each row of a segment; −1 for removed rows."""
        numbers = np.full(self.segments[segment].entry.rows, -1, np.int32)
        kept = self.kept[segment]
        numbers[kept] = np.arange(len(kept)) + self._starts[segment]
        return numbers

    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """Return all embeddings; those of a single whole segment stay mapped into memory."""
        if len(self.segments) == 1 and len(self) == self.segments[0].entry.rows:
            return self.segments[0].embeddings
        gathered = np.empty((len(self), self.manifest.card.embedding_width), np.float32)
        self.copy_embeddings(gathered)
        return gathered

    def copy_embeddings(self, target: Float32[np.ndarray, "photos dimensions"]) -> None:
        """Copy all embeddings, block by block."""
        for start, segment, kept in zip(self._starts, self.segments, self.kept, strict=False):
            for first in range(0, len(kept), _BLOCK):
                rows = kept[first : first + _BLOCK]
                photo = int(start) + first
                target[photo : photo + len(rows)] = segment.embeddings[rows]

    def embeddings_of(
        self, photos: Sequence[int] | np.ndarray
    ) -> Float32[np.ndarray, "photos dimensions"]:
        """Return the embeddings of some photos, whose numbers ascend."""
        photos = np.asarray(photos, np.int64)
        bounds = np.searchsorted(photos, self._starts)
        parts = [
            segment.embeddings[kept[photos[first:last] - start]]
            for segment, kept, start, first, last in zip(
                self.segments, self.kept, self._starts, bounds, bounds[1:], strict=False
            )
        ]
        return np.concatenate(parts)

    def thumbnail(self, photo: int) -> bytes:
        """Return a photo as a small JPEG."""
        segment, row = self.locate(photo)
        return self.segments[segment].thumbnails.read([row])[0]

    def thumbnails(self) -> Iterator[bytes]:
        """Yield the thumbnails of all photos, in order."""
        for segment, kept in zip(self.segments, self.kept, strict=True):
            for first in range(0, len(kept), _BLOCK):
                yield from segment.thumbnails.read(kept[first : first + _BLOCK].tolist())
