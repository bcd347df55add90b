"""A catalogue's manifest: which parts count, and what is in them."""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np
from jaxtyping import Int64

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import read_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.make_index import BuiltKind, Kind

SCHEMA = 3
REMOVED = "removed.json"
_REMOVED_SCHEMA = 2

Rows = Int64[np.ndarray, " rows"]
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# A name such as ../other would lead out of the folder.
PartName = Annotated[str, msgspec.Meta(pattern=rf"^{storage.PART_PREFIX}[\w-]+$")]


class CatalogueError(FashionJaxError):
    """Parts of a catalogue that do not fit together, or a change that makes no sense."""


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """How a segment's ScaNN index is searched, as `fashion-jax index tune` chose it.

    Attributes:
        reorder: candidates whose exact scores are computed.
        leaves_to_search: partitions that a query is compared with; 0 where there are none.
        recall: at k, as measured.
        k: of the recall.
        queries: that it was measured with.
        queries_per_second: on the machine that measured.
    """

    reorder: Count
    leaves_to_search: Count
    recall: Annotated[float, msgspec.Meta(ge=0, le=1)]
    k: Positive
    queries: Positive
    queries_per_second: Annotated[float, msgspec.Meta(gt=0)]


@dataclasses.dataclass(frozen=True)
class SegmentEntry:
    """A segment, as the manifest names it.

    Attributes:
        data: its folder's name.
        rows: its photos, removed ones included.
        index: `exact` or `scann`.
        files: SHA-256 by name. ScaNN's own files are listed in the index's description.
        search: where it was tuned.
    """

    data: PartName
    rows: Positive
    index: BuiltKind
    files: Mapping[str, str]
    search: SearchSettings | None = None


@dataclasses.dataclass(frozen=True)
class RemovedEntry:
    """The list of removed rows, as the manifest names it.

    Attributes:
        data: the folder's name.
        photos: how many rows are removed.
        files: SHA-256 by name.
    """

    data: PartName
    photos: Positive
    files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class RemovedRows:
    """The content of that list: rows by segment, ascending."""

    rows: Mapping[PartName, list[Count]]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a catalogue is.

    Attributes:
        kind: which index new segments get: `auto` (by size), `exact` or `scann`.
        card: of the model that made all of the embeddings.
        segments: in the order of their rows.
        removed: rows of them that are not there any more.
    """

    kind: Kind
    card: ModelCard
    segments: tuple[SegmentEntry, ...]
    removed: RemovedEntry | None = None

    @property
    def photos(self) -> int:
        """Photos that are there."""
        removed = self.removed.photos if self.removed else 0
        return sum(segment.rows for segment in self.segments) - removed

    @property
    def parts(self) -> set[str]:
        """Names of all folders that count."""
        removed = {self.removed.data} if self.removed else set()
        return {segment.data for segment in self.segments} | removed

    def write(self, folder: pathlib.Path) -> None:
        """Writes the manifest into a folder that is being staged."""
        (folder / storage.MANIFEST).write_bytes(to_json(self, SCHEMA))

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Manifest":
        """Reads the manifest of a catalogue.

        Raises:
            StorageError: not a catalogue, or a manifest that is damaged or of another version.
            ModelCardError: a model card of another version.
        """
        return read_json(folder / storage.MANIFEST, cls, SCHEMA, "a catalogue")


def write_removed(staging: pathlib.Path, name: str, removed: Mapping[str, Rows]) -> RemovedEntry:
    """Writes the removed rows, by segment, to a new part `name`."""
    part = staging / name
    part.mkdir()
    rows = {segment: rows.tolist() for segment, rows in removed.items()}
    (part / REMOVED).write_bytes(to_json(RemovedRows(rows), _REMOVED_SCHEMA))
    return RemovedEntry(name, sum(map(len, rows.values())), storage.checksums(part))


def read_removed(folder: pathlib.Path, entry: RemovedEntry | None) -> dict[str, Rows]:
    """The removed rows of a catalogue, by segment, ascending.

    Raises:
        StorageError: if the file is missing or damaged.
    """
    if entry is None:
        return {}
    storage.verify(folder / entry.data, entry.files)
    path = folder / entry.data / REMOVED
    stored = read_json(path, RemovedRows, _REMOVED_SCHEMA, "a list of removed rows")
    return {name: np.array(rows, np.int64) for name, rows in stored.rows.items()}
