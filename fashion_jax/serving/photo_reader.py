"""Reads photos that are to be embedded, and keeps what a catalogue stores of them."""

import collections
import contextlib
import hashlib
import pathlib
from collections.abc import Iterator

import pyarrow as pa
from tqdm import tqdm

from fashion_jax.datasets.boxes import BoxError, crop, to_pixels
from fashion_jax.datasets.photos import (
    UndecodablePhotoError,
    decode_photo,
    encode_thumbnail,
    photo_bytes,
)
from fashion_jax.inference.model import Photo
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import Origin


class PhotoReader:
    """Reads photos one by one, each once.

    Attributes:
        rows: rows of the usable photos read so far.
        thumbnails: their thumbnails.
        bad: names of the others, by defect.
    """

    def __init__(self, photos: ItemTable, progress: bool) -> None:
        """Prepare to read the photos; see `pixels`.

        Args:
            photos: items with their origins.
            progress: whether to show a bar.
        """
        self._photos = photos
        self._progress = progress
        self._facts: list[tuple[str, int, int]] = []
        self.rows: list[int] = []
        self.thumbnails: list[bytes] = []
        self.bad: dict[str, list[str]] = collections.defaultdict(list)

    def pixels(self) -> Iterator[Photo]:
        """RGB pixels of what is in the box of each usable photo."""
        rows = range(len(self._photos))
        for row in tqdm(rows, "embed", unit="photo", disable=not self._progress, leave=False):
            try:
                pixels = self._read(self._photos.origin(row))
            except UndecodablePhotoError as error:
                self._add_bad(error.kind.replace("_", " "), row)
                continue
            except BoxError:
                self._add_bad("without anything in its box", row)
                continue
            self.rows.append(row)
            self.thumbnails.append(encode_thumbnail(pixels))
            yield pixels

    def items(self) -> ItemTable:
        """Items and origins of the usable photos, with the facts of their files."""
        sha256, size, mtime_ns = zip(*self._facts, strict=True) if self._facts else ((), (), ())
        return self._photos.take(self.rows).with_columns(
            {
                "sha256": pa.array(sha256, pa.string()),
                "size": pa.array(size, pa.int64()),
                "mtime_ns": pa.array(mtime_ns, pa.int64()),
            }
        )

    def _read(self, origin: Origin) -> Photo:
        path = pathlib.Path(origin.source)
        changed = 0
        with contextlib.suppress(OSError, ValueError):  # which reading explains
            changed = path.stat().st_mtime_ns  # before it is read: later changes count as changes
        content = photo_bytes(path)
        pixels = decode_photo(content)
        if origin.box is not None:
            height, width = pixels.shape[:2]
            pixels = crop(pixels, to_pixels(origin.box, origin.box_unit, height, width))
        self._facts.append((hashlib.sha256(content).hexdigest(), len(content), changed))
        return pixels

    def _add_bad(self, defect: str, row: int) -> None:
        self.bad[defect].append(self._photos[row].photo_id)
