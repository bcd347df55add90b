"""Segments of a catalogue: photos written together, never changed afterwards."""

import functools
import logging
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Float32

from fashion_jax.files import StorageError
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.items import Item
from fashion_jax.retrieval.catalogue.manifest import CatalogueError, SegmentEntry
from fashion_jax.retrieval.index import check_embeddings
from fashion_jax.retrieval.make_index import index_kind
from fashion_jax.retrieval.scann_index import (
    DESCRIPTION,
    ScannIndex,
    ScannMissingError,
    check_files,
)
from fashion_jax.retrieval.scann_settings import ScannSettings

EMBEDDINGS, ITEMS, THUMBNAILS, SCANN = (
    "embeddings.npy",
    "items.jsonl",
    "thumbnails.array_record",
    "scann",
)
_JPEG_START = b"\xff\xd8\xff"

logger = logging.getLogger(__name__)


class Segment:
    """A stored segment; each of its files is checked before it is read."""

    def __init__(self, folder: pathlib.Path, entry: SegmentEntry) -> None:
        """Read nothing yet.

        Args:
            folder: folder of the segment.
            entry: the manifest's entry for it.
        """
        self.folder = folder
        self.entry = entry
        self._checked: set[str] = set()

    def open(self) -> None:
        """Check and open every file; the segment stays usable after its files are removed.

        Raises:
            StorageError: files (all of which are named) are missing or damaged.
        """
        self._check(*self.entry.files)
        for part in ("items", "embeddings", "thumbnails", "scann"):
            getattr(self, part)

    def check(self) -> ScannSettings | None:
        """Check every file, those of ScaNN included, and open none.

        Returns:
            Settings of the ScaNN index, if the segment has one.

        Raises:
            StorageError: files (all of which are named) are missing or damaged.
        """
        self._check(*self.entry.files)
        return check_files(self.folder / SCANN).settings if self.entry.index == "scann" else None

    @functools.cached_property
    def items(self) -> list[Item]:
        """Items, one per row."""
        self._check(ITEMS)
        return msgspec.json.Decoder(Item).decode_lines((self.folder / ITEMS).read_bytes())

    @functools.cached_property
    def embeddings(self) -> Float32[np.ndarray, "rows dimensions"]:
        """L2-normalised embeddings, mapped into memory."""
        self._check(EMBEDDINGS)
        return np.load(self.folder / EMBEDDINGS, mmap_mode="r")

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
        tuned = self.entry.search
        return index.searched_with(tuned.reorder, tuned.leaves_to_search) if tuned else index

    def _check(self, *names: str) -> None:
        unchecked = {name: self.entry.files[name] for name in names if name not in self._checked}
        if unchecked:
            storage.verify(self.folder, unchecked)
            self._checked.update(unchecked)


def write_segment(
    staging: pathlib.Path,
    embeddings: Any,
    items: Sequence[Item],
    thumbnails: Iterable[bytes],
    kind: str,
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
    if len(items) != len(array):
        raise CatalogueError(f"found {len(array)} embeddings but {len(items)} items")
    if len(items) == 0:
        raise CatalogueError("no photos; a segment needs at least one")
    folder = storage.new_data_folder(staging)
    np.save(folder / EMBEDDINGS, array)
    return finish_segment(folder, items, thumbnails, kind)


def finish_segment(
    folder: pathlib.Path, items: Sequence[Item], thumbnails: Iterable[bytes], kind: str
) -> SegmentEntry:
    """Completes a segment whose embeddings are written already; see `write_segment`."""
    _write_thumbnails(folder / THUMBNAILS, thumbnails, len(items))
    (folder / ITEMS).write_bytes(msgspec.json.Encoder().encode_lines(items))
    index = index_kind(kind, len(items))
    if index == "scann":
        ScannIndex.build(np.load(folder / EMBEDDINGS, mmap_mode="r")).save(folder / SCANN)
    files = {
        name: checksum
        for name, checksum in storage.checksums(folder).items()
        if not name.startswith(f"{SCANN}/") or name == f"{SCANN}/{DESCRIPTION}"
    }
    return SegmentEntry(folder.name, len(items), index, files)


def _write_thumbnails(path: pathlib.Path, thumbnails: Iterable[bytes], count: int) -> None:
    writer = ArrayRecordWriter(str(path), "group_size:1")
    written = 0
    try:
        for jpeg in thumbnails:
            if not jpeg.startswith(_JPEG_START):
                raise CatalogueError(f"the thumbnail of row {written} is not a JPEG")
            writer.write(jpeg)
            written += 1
    finally:
        writer.close()
    if written != count:
        raise CatalogueError(f"found {count} embeddings but {written} thumbnails")
