"""A segment of a catalogue: photos that were written together and never change."""

import functools
import logging
import pathlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Float32

from fashion_jax.files import StorageError
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.items import Item, read_items, write_items
from fashion_jax.retrieval.catalogue.manifest import CatalogueError, SegmentEntry
from fashion_jax.retrieval.index import check_embeddings
from fashion_jax.retrieval.make_index import index_kind
from fashion_jax.retrieval.scann_index import (
    DESCRIPTION,
    ScannIndex,
    ScannMissingError,
    check_files,
)

EMBEDDINGS, ITEMS, THUMBNAILS, SCANN = (
    "embeddings.npy",
    "items.jsonl",
    "thumbnails.array_record",
    "scann",
)
_JPEG_START = b"\xff\xd8\xff"

logger = logging.getLogger(__name__)


class Segment:
    """A segment on the disk; each of its files is checked before it is read."""

    def __init__(self, folder: pathlib.Path, entry: SegmentEntry) -> None:
        """Reads nothing yet.

        Args:
            folder: of the segment.
            entry: what the manifest says about it.
        """
        self.folder = folder
        self.entry = entry
        self._checked: set[str] = set()

    def open(self) -> None:
        """Checks and opens every file, so that the segment can be used even after its removal.

        Raises:
            StorageError: if files (all of which are named) are missing or damaged.
        """
        self._check(*self.entry.files)
        for part in ("items", "embeddings", "thumbnails", "scann"):
            getattr(self, part)

    def check(self) -> None:
        """Checks every file, those of ScaNN included, and opens none.

        Raises:
            StorageError: if files (all of which are named) are missing or damaged.
        """
        self._check(*self.entry.files)
        if self.entry.index == "scann":
            check_files(self.folder / SCANN)

    @functools.cached_property
    def items(self) -> list[Item]:
        """One a row."""
        self._check(ITEMS)
        return read_items(self.folder / ITEMS)

    @functools.cached_property
    def embeddings(self) -> Float32[np.ndarray, "rows dimensions"]:
        """L2-normalised; mapped into memory, not read."""
        self._check(EMBEDDINGS)
        return np.load(self.folder / EMBEDDINGS, mmap_mode="r")

    @functools.cached_property
    def thumbnails(self) -> ArrayRecordReader:
        """One JPEG a row."""
        self._check(THUMBNAILS)
        path = self.folder / THUMBNAILS
        try:
            reader = ArrayRecordReader(str(path))
        except RuntimeError as error:
            raise StorageError(f"{path} cannot be opened: {error}") from error
        # A writer may have removed it since it was checked, of which the reader says nothing.
        if not reader.ok():
            raise StorageError(f"{path} cannot be opened")
        return reader

    @functools.cached_property
    def scann(self) -> ScannIndex | None:
        """ScaNN's index, if the segment has one and ScaNN is installed here."""
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


def new_part_name() -> str:
    """A name that no part ever had."""
    return f"{storage.PART_PREFIX}{secrets.token_hex(8)}"


def write_segment(
    staging: pathlib.Path,
    embeddings: Any,
    items: Sequence[Item],
    thumbnails: Iterable[bytes],
    kind: str,
    dimensions: int,
) -> SegmentEntry:
    """Writes a new segment into a folder that is being staged.

    Args:
        staging: the folder.
        embeddings: [rows, dimensions], L2-normalised, any float dtype.
        items: one a row.
        thumbnails: one JPEG a row; read one by one.
        kind: of the catalogue's index.
        dimensions: that the model card says.

    Returns:
        What the manifest has to say about it.

    Raises:
        CatalogueError: if the parts are not of one size, or there are none.
        EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
    """
    array = check_embeddings(embeddings, "embeddings", dimensions)
    if len(items) != len(array):
        raise CatalogueError(f"there are {len(array)} embeddings but {len(items)} items")
    if len(items) == 0:
        raise CatalogueError("there is not one photo to make a catalogue's segment of")
    part = staging / new_part_name()
    part.mkdir()
    np.save(part / EMBEDDINGS, array)
    return finish_segment(part, items, thumbnails, kind)


def finish_segment(
    part: pathlib.Path, items: Sequence[Item], thumbnails: Iterable[bytes], kind: str
) -> SegmentEntry:
    """Writes the rest of a segment whose embeddings are in their file already."""
    _write_thumbnails(part / THUMBNAILS, thumbnails, len(items))
    write_items(part / ITEMS, items)
    index = index_kind(kind, len(items))
    if index == "scann":
        ScannIndex.build(np.load(part / EMBEDDINGS, mmap_mode="r")).save(part / SCANN)
    files = {
        name: checksum
        for name, checksum in storage.checksums(part).items()
        if not name.startswith(f"{SCANN}/") or name == f"{SCANN}/{DESCRIPTION}"
    }
    return SegmentEntry(part.name, len(items), index, files)


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
        raise CatalogueError(f"there are {count} embeddings but {written} thumbnails")
