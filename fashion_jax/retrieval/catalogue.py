"""A catalogue: an index with its photos' names, their thumbnails, and the model's card.

```
manifest.json            what is there, the model card, a checksum of every file
data-1a2b3c4d/
    embeddings.npy       float32 [photos, dimensions], L2-normalised
    items.jsonl          one photo a line
    thumbnails.array_record
    scann/               where the index is ScaNN's
```

It can be moved and copied. `manifest.json` names the data folder, so that exchanging this one
file replaces a catalogue in a single step.
"""

import dataclasses
import functools
import json
import os
import pathlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from array_record.python.array_record_module import ArrayRecordReader, ArrayRecordWriter
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.model_card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import Index, check_embeddings
from fashion_jax.retrieval.scann_index import DESCRIPTION, ScannIndex

SCHEMA = 1
KINDS = ("exact", "scann")

EMBEDDINGS, ITEMS, THUMBNAILS, SCANN = (
    "embeddings.npy",
    "items.jsonl",
    "thumbnails.array_record",
    "scann",
)
_JPEG_START = b"\xff\xd8\xff"


class CatalogueError(FashionJaxError):
    """Parts of a catalogue that do not fit together."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One photo of a catalogue.

    Attributes:
        photo_id: the raw dataset's own name of the photo.
        identity: the product.
        category: its kind.
        domain: `street` or `shop`.
    """

    photo_id: str
    identity: int
    category: str
    domain: str


@dataclasses.dataclass(frozen=True)
class Hit:
    """One answer to a query.

    Attributes:
        rank: from 1.
        row: of the photo in the catalogue.
        item: what the catalogue knows about it.
        score: cosine similarity to the query; higher is better.
    """

    rank: int
    row: int
    item: Item
    score: float


class Catalogue:
    """An opened catalogue; see `write` and `open`."""

    def __init__(
        self, folder: pathlib.Path, card: ModelCard, kind: str, items: Sequence[Item], index: Index
    ) -> None:
        """Joins the parts that `open` has read."""
        self.card = card
        self.kind = kind
        self.items = items
        self.index = index
        self._folder = folder

    @classmethod
    def write(
        cls,
        directory: str | os.PathLike[str],
        embeddings: Any,
        items: Sequence[Item],
        thumbnails: Iterable[bytes],
        card: ModelCard,
        kind: str = "scann",
    ) -> "Catalogue":
        """Builds a catalogue, or replaces one in a single step; interrupted, it changes nothing.

        Args:
            directory: its folder.
            embeddings: [photos, dimensions], L2-normalised, any float dtype.
            items: one a photo.
            thumbnails: JPEGs, one a photo, best no longer than 160 pixels on either side; read
                one by one.
            card: of the model that made the embeddings.
            kind: `exact` or `scann`.

        Returns:
            The new catalogue, opened.

        Raises:
            CatalogueError: if the parts are not of one size, or the kind does not exist.
            EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
            StorageError: if the folder holds something that is not a catalogue.
        """
        _check_kind(kind)
        array = check_embeddings(embeddings, "embeddings", card.embedding_width)
        if len(items) != len(array):
            raise CatalogueError(f"there are {len(array)} embeddings but {len(items)} items")
        target = pathlib.Path(directory).absolute()
        with storage.staged(target) as staging:
            part = staging / f"{storage.PART_PREFIX}{secrets.token_hex(4)}"
            part.mkdir()
            _write_thumbnails(part / THUMBNAILS, thumbnails, len(array))
            np.save(part / EMBEDDINGS, array)
            _write_items(part / ITEMS, items)
            if kind == "scann":
                ScannIndex.build(array).save(part / SCANN)
            storage.write_json(staging / storage.MANIFEST, _manifest(part, array, card, kind))
            storage.install(staging, target)
        return cls.open(target)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> "Catalogue":
        """Opens a catalogue after checking all of its files.

        Raises:
            StorageError: if there is no catalogue, or files (which are named) are damaged.
            ModelCardError: if its model card cannot be read.
            ScannError: if it needs ScaNN, which is not installed.
        """
        target = pathlib.Path(directory).absolute()
        manifest = _read_manifest(target)
        try:
            return cls._open(target, manifest)
        except (FashionJaxError, OSError):
            # It may have been replaced, and its old files removed, while they were being read.
            newer = _read_manifest(target)
            if newer == manifest:
                raise
            return cls._open(target, newer)

    @classmethod
    def _open(cls, target: pathlib.Path, manifest: dict[str, Any]) -> "Catalogue":
        folder = target / manifest["data"]
        storage.verify(folder, manifest["files"])
        kind = manifest["index"]
        _check_kind(kind)
        card = ModelCard.from_dict(manifest["card"])
        return cls(folder, card, kind, _read_items(folder / ITEMS), _open_index(folder, kind))

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.items)

    def search(self, queries: Any, k: int, card: ModelCard) -> list[list[Hit]]:
        """Finds the k photos most similar to each query.

        Args:
            queries: [queries, dimensions], L2-normalised.
            k: answers a query; all photos where there are fewer.
            card: of the model that embedded the queries.

        Returns:
            For each query its answers, best first.

        Raises:
            ModelCardError: if the queries come from another model than the catalogue; each
                differing field is named.
            EmbeddingError: if the queries are not what `check_embeddings` asks for, or k < 1.
        """
        self.card.require_same(card, "the catalogue", "the query's model")
        found = self.index.search(queries, k)
        return [
            [
                Hit(rank, int(row), self.items[row], float(score))
                for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
            ]
            for rows, scores in zip(found.rows, found.scores, strict=True)
        ]

    def thumbnail(self, row: int) -> bytes:
        """The photo in `row`, as a small JPEG."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a catalogue of {len(self)} photos")
        return self._thumbnails.read([int(row)])[0]

    @property
    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """L2-normalised, one row a photo; read from the disk anew each time."""
        return np.load(self._folder / EMBEDDINGS)

    @functools.cached_property
    def _thumbnails(self) -> ArrayRecordReader:
        return ArrayRecordReader(str(self._folder / THUMBNAILS))


def _read_manifest(target: pathlib.Path) -> dict[str, Any]:
    return storage.read_json(target / storage.MANIFEST, SCHEMA, "a catalogue")


def _open_index(folder: pathlib.Path, kind: str) -> Index:
    if kind == "scann":
        return ScannIndex.load(folder / SCANN)
    return ExactIndex(np.load(folder / EMBEDDINGS))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise CatalogueError(f"there is no index of kind {kind!r}, only {', '.join(KINDS)}")


def _manifest(
    part: pathlib.Path, embeddings: np.ndarray, card: ModelCard, kind: str
) -> dict[str, Any]:
    # ScaNN's own files are listed, with their checksums, in the index's description.
    files = {
        name: checksum
        for name, checksum in storage.checksums(part).items()
        if not name.startswith(f"{SCANN}/") or name == f"{SCANN}/{DESCRIPTION}"
    }
    return {
        "schema": SCHEMA,
        "photos": len(embeddings),
        "dimensions": embeddings.shape[1],
        "index": kind,
        "card": card.to_dict(),
        "data": part.name,
        "files": files,
    }


def _write_items(path: pathlib.Path, items: Sequence[Item]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(json.dumps(dataclasses.asdict(item), ensure_ascii=False) + "\n")


def _read_items(path: pathlib.Path) -> list[Item]:
    with path.open(encoding="utf-8") as file:
        return [Item(**json.loads(line)) for line in file]


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
