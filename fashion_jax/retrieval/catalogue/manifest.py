"""A catalogue's manifest: its data folders, their content, and the model card."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Annotated

import msgspec
import numpy as np
from jaxtyping import Int64

from fashion_jax.errors import named
from fashion_jax.files import MEND, StorageError, read_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.make_index import BuiltKind, Kind
from fashion_jax.retrieval.scann_index import DESCRIPTION

SCHEMA = 5
EMBEDDINGS, ITEMS, THUMBNAILS, SCANN = (
    "embeddings.npy",
    "items.parquet",
    "thumbnails.array_record",
    "scann",
)
REMOVED = "removed.json"
_REMOVED_SCHEMA = 3

Rows = Int64[np.ndarray, " rows"]
_MOST_ROWS = 2**31 - 1  # numbers of photos are int32
Count = Annotated[int, msgspec.Meta(ge=0, le=_MOST_ROWS)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=_MOST_ROWS)]
# A name such as ../other would lead out of the catalogue.
FolderName = Annotated[str, msgspec.Meta(pattern=rf"^{storage.DATA_PREFIX}[\w-]+$")]


@dataclasses.dataclass(frozen=True)
class SearchSettings:
    """Search settings of a segment's ScaNN index, as chosen by `fashion-jax index tune`.

    Attributes:
        reorder: number of candidates whose exact scores are computed.
        leaves_to_search: number of partitions compared with a query; 0 without partitions.
        recall: measured recall at k.
        k: number of neighbours that the recall counts.
        queries: number of queries in the measurement.
        queries_per_second: speed on the machine of the measurement.
    """

    reorder: Count
    leaves_to_search: Count
    recall: Annotated[float, msgspec.Meta(ge=0, le=1)]
    k: Positive
    queries: Positive
    queries_per_second: Annotated[float, msgspec.Meta(gt=0)]


@dataclasses.dataclass(frozen=True)
class ItemsEntry:
    """The manifest's entry for what is known of a segment's photos.

    Attributes:
        data: name of the folder of the table, which is exchanged as a whole.
        files: SHA-256 by name.
    """

    data: FolderName
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        _require_files(self.files, {ITEMS})


@dataclasses.dataclass(frozen=True)
class SegmentEntry:
    """The manifest's entry for a segment.

    Attributes:
        data: name of the segment's folder.
        rows: number of rows, removed ones included.
        index: `exact` or `scann`.
        files: SHA-256 by name. The index's own description lists the files of ScaNN.
        items: entry for what is known of the photos.
        search: search settings, if the segment was tuned.
    """

    data: FolderName
    rows: Positive
    index: BuiltKind
    files: Mapping[str, str]
    items: ItemsEntry
    search: SearchSettings | None = None

    def __post_init__(self) -> None:
        of_index = {f"{SCANN}/{DESCRIPTION}"} if self.index == "scann" else set()
        _require_files(self.files, {EMBEDDINGS, THUMBNAILS, *of_index})


@dataclasses.dataclass(frozen=True)
class RemovedEntry:
    """The manifest's entry for the list of removed rows.

    Attributes:
        data: name of the list's folder.
        photos: number of removed rows.
        files: SHA-256 by name.
    """

    data: FolderName
    photos: Positive
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        _require_files(self.files, {REMOVED})


@dataclasses.dataclass(frozen=True)
class RemovedRows:
    """The list of removed rows: rows by segment, ascending."""

    rows: Mapping[FolderName, list[Count]]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Content of the manifest.

    Attributes:
        kind: kind of index for new segments: `auto` (by size), `exact` or `scann`.
        card: card of the model that made all embeddings.
        segments: segments, in the order of their rows.
        removed: removed rows of the segments, if any.
    """

    kind: Kind
    card: ModelCard
    segments: tuple[SegmentEntry, ...]
    removed: RemovedEntry | None = None

    def __post_init__(self) -> None:
        counted = collections.Counter(self.folders)
        twice = [name for name, count in counted.items() if count > 1]
        if twice:
            raise ValueError(f"the folders {named(twice)} are named more than once")
        if sum(segment.rows for segment in self.segments) > _MOST_ROWS:
            raise ValueError(f"more than {_MOST_ROWS:,} rows")

    @property
    def folders(self) -> list[str]:
        """Names of all data folders in use."""
        entries = (*self.segments, *(segment.items for segment in self.segments), self.removed)
        return [entry.data for entry in entries if entry]

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Manifest":
        """Read the manifest of a catalogue.

        Raises:
            StorageError: not a catalogue, or a manifest that is damaged or of another version.
            ModelCardError: a model card of another version.
        """
        return read_json(
            folder / storage.MANIFEST,
            cls,
            SCHEMA,
            "a catalogue (`fashion-jax index build` makes one)",
        )


def write_removed(staging: pathlib.Path, removed: Mapping[str, Rows]) -> RemovedEntry:
    """Write removed rows, by segment, to a new data folder."""
    folder = storage.new_data_folder(staging)
    rows = {segment: rows.tolist() for segment, rows in removed.items()}
    (folder / REMOVED).write_bytes(to_json(RemovedRows(rows), _REMOVED_SCHEMA))
    return RemovedEntry(folder.name, sum(map(len, rows.values())), storage.checksums(folder))


def read_removed(folder: pathlib.Path, manifest: Manifest) -> dict[str, Rows]:
    """Read the removed rows of a catalogue, by segment, ascending.

    Raises:
        StorageError: the file is missing or damaged, or contradicts the manifest.
    """
    entry = manifest.removed
    if entry is None:
        return {}
    storage.verify(folder / entry.data, entry.files)
    path = folder / entry.data / REMOVED
    stored = read_json(path, RemovedRows, _REMOVED_SCHEMA, "a list of removed rows").rows
    sizes = {segment.data: segment.rows for segment in manifest.segments}
    removed = {name: np.array(rows, np.int64) for name, rows in stored.items()}
    wrong = [
        f"rows of {name} that do not ascend, or that it does not have"
        for name, rows in removed.items()
        if (np.diff(rows, prepend=-1, append=sizes.get(name, -1)) < 1).any()
    ]
    if (photos := sum(map(len, removed.values()))) != entry.photos:
        wrong.append(f"{photos:,} rows, where the manifest counts {entry.photos:,}")
    if wrong:
        raise StorageError(f"{path} is damaged ({'; '.join(wrong)}). {MEND}")
    return removed


def _require_files(files: Mapping[str, str], names: set[str]) -> None:
    differing = sorted(files.keys() ^ names)
    if differing:
        raise ValueError(f"files that are missing or do not belong here: {named(differing)}")
