"""The photos of a catalogue, in segments: written together, never changed afterwards."""

import contextlib
import copy
import dataclasses
import functools
import logging
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Float32, Int32, Int64

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import MEND, StorageError, require_utf8
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError, Item
from fashion_jax.retrieval.catalogue.manifest import (
    EMBEDDINGS,
    ITEMS,
    SCANN,
    THUMBNAILS,
    ItemsEntry,
    Manifest,
    Rows,
    SegmentEntry,
    read_removed,
)
from fashion_jax.retrieval.index import check_embeddings
from fashion_jax.retrieval.make_index import Kind, index_kind
from fashion_jax.retrieval.scann_index import (
    DESCRIPTION,
    ScannIndex,
    ScannMissingError,
    check_files,
)
from fashion_jax.retrieval.scann_settings import ScannSettings

_JPEG_START = b"\xff\xd8\xff"
_BLOCK = 4096

logger = logging.getLogger(__name__)


@dataclasses.dataclass(eq=False)
class Segment:
    """A stored segment; each of its files is checked before it is read.

    Attributes:
        folder: folder of the segment.
        entry: the manifest's entry for it.
        dimensions: length of an embedding according to the model card.
    """

    folder: pathlib.Path
    entry: SegmentEntry
    dimensions: int
    _checked: set[str] = dataclasses.field(default_factory=set, init=False)

    def open(self) -> None:
        """Check and open every file; the segment stays usable after its files are removed.

        Raises:
            StorageError: files (all of which are named) are missing or damaged, or contradict the
                manifest.
        """
        self._open("items", "embeddings", "thumbnails", "scann")

    def check(self) -> ScannSettings | None:
        """Check every file; those of ScaNN without opening the index.

        Returns:
            Settings of the ScaNN index, if the segment has one.

        Raises:
            StorageError: see `open`.
        """
        self._open("items", "embeddings", "thumbnails")
        if self.entry.index != "scann":
            return None
        stored = check_files(self.folder / SCANN)
        self._require(SCANN, (stored.rows, stored.dimensions), (self.entry.rows, self.dimensions))
        return stored.settings

    @functools.cached_property
    def items(self) -> ItemTable:
        """Items, one per row."""
        folder = self.folder.parent / self.entry.items.data
        storage.verify(folder, self.entry.items.files)
        return ItemTable.read(folder / ITEMS, self.entry.rows)

    @functools.cached_property
    def embeddings(self) -> Float32[np.ndarray, "rows dimensions"]:
        """L2-normalised embeddings, mapped into memory."""
        self._check(EMBEDDINGS)
        stored = storage.load_embeddings(self.folder / EMBEDDINGS)
        self._require(EMBEDDINGS, stored.shape, (self.entry.rows, self.dimensions))
        return stored

    @functools.cached_property
    def thumbnails(self) -> ArrayRecordReader:
        """JPEGs, one per row."""
        self._check(THUMBNAILS)
        path = self.folder / THUMBNAILS
        try:
            reader = ArrayRecordReader(str(path))
        except RuntimeError as error:
            raise StorageError(f"{path} cannot be opened: {error}") from error
        # The reader raises nothing if a writer has removed the file since the check.
        if not reader.ok():
            raise StorageError(f"{path} cannot be opened")
        self._require(THUMBNAILS, reader.num_records(), self.entry.rows)
        return reader

    @functools.cached_property
    def scann(self) -> ScannIndex | None:
        """The ScaNN index, if the segment has one and ScaNN is installed."""
        if self.entry.index != "scann":
            return None
        self._check(f"{SCANN}/{DESCRIPTION}")
        try:
            index = ScannIndex.load(self.folder / SCANN)
        except ScannMissingError as error:
            logger.warning("%d photos are searched exactly: %s", self.entry.rows, error)
            return None
        found = (len(index), index.dimensions)
        self._require(SCANN, found, (self.entry.rows, self.dimensions))
        tuned = self.entry.search
        return index.searched_with(tuned.reorder, tuned.leaves_to_search) if tuned else index

    def take_over(self, older: "Segment") -> None:
        """Use what an older state of the same segment has opened, as far as it has not changed."""
        if (older.folder, older.entry.files) != (self.folder, self.entry.files):
            return
        parts = {"embeddings", "thumbnails"}
        parts |= {"scann"} if older.entry.search == self.entry.search else set()
        parts |= {"items"} if older.entry.items == self.entry.items else set()
        vars(self).update({name: vars(older)[name] for name in parts & vars(older).keys()})
        self._checked |= older._checked

    def read_thumbnails(self, rows: Sequence[int]) -> Sequence[bytes]:
        """Read JPEGs by row.

        Raises:
            StorageError: they cannot be read.
        """
        try:
            return self.thumbnails.read(rows)
        except (RuntimeError, ValueError) as error:
            raise StorageError(
                f"{self.folder / THUMBNAILS} is damaged ({error}). {MEND}"
            ) from error

    def _open(self, *parts: str) -> None:
        self._check(*self.entry.files)
        for part in parts:
            getattr(self, part)

    def _require(self, name: str, found: object, expected: object) -> None:
        if found != expected:
            raise StorageError(
                f"{self.folder / name} is damaged: it holds {found} rows (and dimensions), where "
                f"the catalogue's manifest says {expected}. {MEND}"
            )

    def _check(self, *names: str) -> None:
        unchecked = {name: self.entry.files[name] for name in names if name not in self._checked}
        if unchecked:
            storage.verify(self.folder, unchecked)
            self._checked.update(unchecked)


class Contents:
    """The photos of a catalogue, numbered from 0: segment by segment, row by row.

    Attributes:
        manifest: the catalogue's manifest.
        segments: segments, in order.
        removed: removed rows, by segment.
        kept: rows of each segment that are not removed.
    """

    def __init__(self, directory: str | os.PathLike[str], manifest: Manifest | None = None) -> None:
        """Read the manifest and the removed rows; segments are opened when they are used.

        Args:
            directory: folder of the catalogue.
            manifest: the catalogue's manifest, if it was read already.

        Raises:
            StorageError: not a catalogue, or a manifest or list of removed rows that is damaged.
            ModelCardError: a model card of another version.
        """
        folder = pathlib.Path(directory).absolute()
        require_utf8(folder)
        self.manifest = manifest or Manifest.read(folder)
        width, nothing = self.manifest.card.embedding_width, np.empty(0, np.int64)
        self.segments = [
            Segment(folder / entry.data, entry, width) for entry in self.manifest.segments
        ]
        self.removed: Mapping[str, Rows] = read_removed(folder, self.manifest)
        self.kept = [
            np.setdiff1d(np.arange(s.entry.rows), self.removed.get(s.entry.data, nothing))
            for s in self.segments
        ]
        self._starts = np.cumsum([0, *map(len, self.kept)])

    def __len__(self) -> int:
        """Number of photos."""
        return int(self._starts[-1])

    def take_over(self, older: "Contents") -> None:
        """Use what an older state of the same catalogue has opened."""
        opened = {segment.entry.data: segment for segment in older.segments}
        for segment in self.segments:
            if segment.entry.data in opened:
                segment.take_over(opened[segment.entry.data])

    @functools.cached_property
    def items(self) -> ItemTable:
        """Items, one per photo."""
        tables = [
            segment.items if len(kept) == segment.entry.rows else segment.items.take(kept)
            for segment, kept in zip(self.segments, self.kept, strict=True)
        ]
        return ItemTable.concat(tables)

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
        self.copy_embeddings(gathered, np.arange(len(self)))
        return gathered

    def copy_embeddings(
        self,
        target: Float32[np.ndarray, "photos dimensions"],
        photos: Int64[np.ndarray, " photos"],
    ) -> None:
        """Copy the embeddings of some photos, in any order, block by block."""
        places = np.full(len(self), -1)
        places[photos] = np.arange(len(photos))
        for start, segment, kept in zip(self._starts, self.segments, self.kept, strict=False):
            for first in range(0, len(kept), _BLOCK):
                rows = kept[first : first + _BLOCK]
                photo = int(start) + first
                to = places[photo : photo + len(rows)]
                target[to[to >= 0]] = segment.embeddings[rows[to >= 0]]

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
        return self.segments[segment].read_thumbnails([row])[0]

    def thumbnails(self, photos: Int64[np.ndarray, " photos"]) -> Iterator[bytes]:
        """Yield the thumbnails of some photos, in any order."""
        for first in range(0, len(photos), _BLOCK):
            block = photos[first : first + _BLOCK]
            segments = np.searchsorted(self._starts, block, side="right") - 1
            found: dict[int, bytes] = {}
            for segment in np.unique(segments).tolist():
                chosen = block[segments == segment]
                rows = self.kept[segment][chosen - self._starts[segment]].tolist()
                jpegs = self.segments[segment].read_thumbnails(rows)
                found.update(zip(chosen.tolist(), jpegs, strict=True))
            yield from (found[photo] for photo in block.tolist())

    def narrowed(self, photos: Int64[np.ndarray, " photos"], items: ItemTable) -> "Contents":
        """Return some photos alone, whose numbers ascend, with other items."""
        view = copy.copy(self)
        bounds = np.searchsorted(photos, self._starts)
        view.kept = [
            kept[photos[first:last] - start]
            for kept, start, first, last in zip(
                self.kept, self._starts, bounds, bounds[1:], strict=False
            )
        ]
        view.removed = {
            segment.entry.data: np.setdiff1d(np.arange(segment.entry.rows), kept)
            for segment, kept in zip(self.segments, view.kept, strict=True)
        }
        view._starts = np.cumsum([0, *map(len, view.kept)])
        view.items = items
        return view


def empty_contents(directory: str | os.PathLike[str], card: ModelCard) -> Contents:
    """Return the contents of a catalogue that is not there yet."""
    return Contents(directory, Manifest("auto", card, ()))


def read_contents(directory: str | os.PathLike[str]) -> Contents:
    """Read what a catalogue knows of its photos, all of one state, while others may change it.

    Raises:
        StorageError: not a catalogue, or a damaged one.
        ModelCardError: a model card of another version.
    """
    target = pathlib.Path(directory).absolute()
    manifest = Manifest.read(target)
    while True:
        try:
            contents = Contents(target, manifest)
            len(contents.items)  # reads them
            return contents
        except (FashionJaxError, OSError):
            # A change may have removed old files while they were being read.
            newer = Manifest.read(target)
            if newer == manifest:
                raise
            manifest = newer


def write_segment(
    staging: pathlib.Path,
    embeddings: Any,
    items: Sequence[Item],
    thumbnails: Iterable[bytes],
    kind: Kind,
    dimensions: int,
) -> SegmentEntry:
    """Write a new segment into a staging folder.

    Args:
        staging: staging folder.
        embeddings: [rows, dimensions] embeddings, L2-normalised, any float dtype.
        items: items, one per row.
        thumbnails: JPEGs, one per row; read one by one.
        kind: kind of the catalogue's index.
        dimensions: length of an embedding according to the model card.

    Returns:
        The manifest's entry for the segment.

    Raises:
        CatalogueError: embeddings, items and thumbnails differ in number, or are empty.
        EmbeddingError: the embeddings fail `check_embeddings`.
    """
    array = check_embeddings(embeddings, "embeddings", dimensions)
    table = ItemTable.of(items)
    if len(items) != len(array):
        raise CatalogueError(f"found {len(array)} embeddings but {len(items)} items")
    if len(items) == 0:
        raise CatalogueError("no photos; a segment needs at least one")
    folder = storage.new_data_folder(staging)
    np.save(folder / EMBEDDINGS, array)
    return finish_segment(folder, table, thumbnails, kind)


def write_items(staging: pathlib.Path, items: ItemTable) -> ItemsEntry:
    """Write what is known of a segment's photos into a new data folder."""
    folder = storage.new_data_folder(staging)
    items.write(folder / ITEMS)
    return ItemsEntry(folder.name, storage.checksums(folder))


def finish_segment(
    folder: pathlib.Path, items: ItemTable, thumbnails: Iterable[bytes], kind: Kind
) -> SegmentEntry:
    """Completes a segment whose embeddings are written already; see `write_segment`."""
    with contextlib.closing(ArrayRecordWriter(str(folder / THUMBNAILS), "group_size:1")) as writer:
        written = 0
        for jpeg in thumbnails:
            if not jpeg.startswith(_JPEG_START):
                raise CatalogueError(f"the thumbnail of row {written} is not a JPEG")
            writer.write(jpeg)
            written += 1
    if written != len(items):
        raise CatalogueError(f"found {len(items)} embeddings but {written} thumbnails")
    index = index_kind(kind, len(items))
    if index == "scann":
        ScannIndex.build(np.load(folder / EMBEDDINGS, mmap_mode="r")).save(folder / SCANN)
    files = {
        name: checksum
        for name, checksum in storage.checksums(folder).items()
        if not name.startswith(f"{SCANN}/") or name == f"{SCANN}/{DESCRIPTION}"
    }
    entry = write_items(folder.parent, items)
    return SegmentEntry(folder.name, len(items), index, files, entry)
