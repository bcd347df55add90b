"""A catalogue's manifest: which parts count, and what is in them."""

import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int64

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard, read_card
from fashion_jax.retrieval import storage

SCHEMA = 2
# Of a catalogue that was one segment and could not be changed; read as such.
_FIRST_SCHEMA = 1
KINDS = ("auto", "exact", "scann")
INDEXES = ("exact", "scann")
REMOVED = "removed.json"
_REMOVED_SCHEMA = 1
_PART_NAME = re.compile(rf"{storage.PART_PREFIX}[\w-]+")

Rows = Int64[np.ndarray, " rows"]


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

    reorder: int
    leaves_to_search: int
    recall: float
    k: int
    queries: int
    queries_per_second: float


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

    data: str
    rows: int
    index: str
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

    data: str
    photos: int
    files: Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a catalogue is.

    Attributes:
        kind: which index new segments get: `auto` (by size), `exact` or `scann`.
        card: of the model that made all of the embeddings.
        segments: in the order of their rows.
        removed: rows of them that are not there any more.
    """

    kind: str
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
        values = {
            "schema": SCHEMA,
            "photos": self.photos,
            "dimensions": self.card.embedding_width,
            "kind": self.kind,
            "card": self.card.to_dict(),
            "segments": [dataclasses.asdict(segment) for segment in self.segments],
            "removed": dataclasses.asdict(self.removed) if self.removed else None,
        }
        storage.write_json(folder / storage.MANIFEST, values)

    @classmethod
    def read(cls, folder: pathlib.Path) -> "Manifest":
        """Reads the manifest of a catalogue, of this version or an older one.

        Raises:
            StorageError: if there is no catalogue, or its manifest is damaged.
            ModelCardError: if its model card cannot be read.
        """
        path = folder / storage.MANIFEST
        values = storage.read_json(path, (_FIRST_SCHEMA, SCHEMA), "a catalogue")
        try:
            return _parse(_as_second(values) if values["schema"] == _FIRST_SCHEMA else values)
        except (KeyError, TypeError, ValueError) as error:
            raise storage.StorageError(
                f"{path} is damaged ({error!r}). Copy the catalogue again from where it came from, "
                f"or build it again"
            ) from error


def check_kind(kind: str) -> None:
    """Refuses a kind that does not exist.

    Raises:
        CatalogueError: naming those that do.
    """
    if kind not in KINDS:
        raise CatalogueError(f"there is no index of kind {kind!r}, only {', '.join(KINDS)}")


def write_removed(staging: pathlib.Path, name: str, removed: Mapping[str, Rows]) -> RemovedEntry:
    """Writes the removed rows, by segment, to a new part `name`."""
    part = staging / name
    part.mkdir()
    rows = {segment: rows.tolist() for segment, rows in removed.items()}
    text = json.dumps({"schema": _REMOVED_SCHEMA, "rows": rows}, separators=(",", ":"))
    (part / REMOVED).write_text(text + "\n", encoding="utf-8")
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
    values = storage.read_json(path, _REMOVED_SCHEMA, "a list of removed rows")
    return {name: np.array(rows, np.int64) for name, rows in values["rows"].items()}


def _parse(values: Mapping[str, Any]) -> Manifest:
    removed = values["removed"]
    manifest = Manifest(
        kind=values["kind"],
        card=read_card(values["card"]),
        segments=tuple(_segment(segment) for segment in values["segments"]),
        removed=RemovedEntry(**removed) if removed else None,
    )
    for name in manifest.parts:
        # A name such as ../other would lead out of the folder.
        if not _PART_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no part's name")
    if manifest.kind not in KINDS or any(s.index not in INDEXES for s in manifest.segments):
        raise ValueError("an unknown kind of index")
    return manifest


def _segment(values: Mapping[str, Any]) -> SegmentEntry:
    search = values["search"]
    return SegmentEntry(**{**values, "search": SearchSettings(**search) if search else None})


def _as_second(values: Mapping[str, Any]) -> dict[str, Any]:
    segment = {
        "data": values["data"],
        "rows": values["photos"],
        "index": values["index"],
        "files": values["files"],
        "search": None,
    }
    return {
        "kind": values["index"],
        "card": values["card"],
        "segments": [segment],
        "removed": None,
    }
