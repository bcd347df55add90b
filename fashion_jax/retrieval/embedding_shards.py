"""Embeddings on the disk: Parquet shards, each whole or not there, and a manifest of them all.

```
plan.json                    what is embedded, by which model, in shards of how many photos
shard-00000.parquet          row, photo_id, identity, category, domain, camera, embedding
shard-00000.json             its rows, size and SHA-256, written when the shard is whole
manifest.json                everything above in one file, written when all shards are whole
```
"""

import dataclasses
import hashlib
import io
import os
import pathlib
from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32, Int32, Int64

from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.retrieval.embedding_plan import (
    SCHEMA,
    EmbeddingFilesError,
    Plan,
    read_plan,
)
from fashion_jax.retrieval.index import check_embeddings

MANIFEST = "manifest.json"
LEFT_OVER = ".shard-*.unfinished"


@dataclasses.dataclass(frozen=True)
class Shard:
    """Some photos and their embeddings.

    Attributes:
        rows: of the split; contiguous.
        embeddings: L2-normalised, one row a photo.
        photo_id: text.
        identity: the product.
        category: text.
        domain: `street` or `shop`.
        camera: −1 where there is none.
    """

    rows: range
    embeddings: Float32[np.ndarray, "photos dimensions"]
    photo_id: list[str]
    identity: Int64[np.ndarray, " photos"]
    category: list[str]
    domain: list[str]
    camera: Int32[np.ndarray, " photos"]

    @property
    def items(self) -> list[Item]:
        """The photos as a catalogue knows them."""
        columns = (self.photo_id, self.identity.tolist(), self.category, self.domain)
        return [Item(*values) for values in zip(*columns, strict=True)]


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """A shard's file.

    Attributes:
        file: its name.
        rows: first row of the split in it, and the one after its last.
        bytes: size of the file.
        sha256: checksum of the file.
        plan: digest of the plan that it is part of.
    """

    file: Annotated[str, msgspec.Meta(pattern=r"^shard-\d+\.parquet$")]
    rows: tuple[int, int]
    bytes: int
    sha256: str
    plan: str


@dataclasses.dataclass(frozen=True)
class _Manifest:
    plan: Plan
    shards: list[ShardFile]


@dataclasses.dataclass(frozen=True)
class StoredEmbeddings:
    """A finished folder of embeddings; see `open_embeddings`.

    Attributes:
        folder: where it is.
        plan: what is embedded.
        files: the shards' files.
    """

    folder: pathlib.Path
    plan: Plan
    files: list[ShardFile]

    def __len__(self) -> int:
        """Number of photos."""
        return self.plan.photos

    @property
    def card(self) -> ModelCard:
        """Of the model that made the embeddings."""
        return self.plan.card

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.plan.card.embedding_width

    def shards(self) -> Iterator[Shard]:
        """Reads shard after shard: each photo once, in the split's order, one shard in memory.

        Raises:
            EmbeddingFilesError: if a shard (which is named) is missing or damaged.
        """
        for entry in self.files:
            yield _read(self.folder, entry, self.plan)

    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """All of them at once, for splits that fit into memory."""
        parts = [shard.embeddings for shard in self.shards()]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)


def open_embeddings(directory: str | os.PathLike[str]) -> StoredEmbeddings:
    """Opens a finished folder of embeddings; checksums are verified as shards are read.

    Raises:
        EmbeddingFilesError: if it is not finished; says how much of it is there.
        StorageError: if the folder is something else.
    """
    folder = pathlib.Path(directory).absolute()
    if not (folder / MANIFEST).is_file():
        plan = read_plan(folder)
        done = sum(entry is not None for entry in entries(folder, plan))
        raise EmbeddingFilesError(
            f"{folder} is not finished: {done} of {len(plan.shards)} shards are there. Run the "
            f"same `fashion-jax embed` again, it goes on where it stopped"
        )
    stored = read_json(folder / MANIFEST, _Manifest, SCHEMA, "a folder of embeddings")
    return StoredEmbeddings(folder, stored.plan, stored.shards)


def write_shard(
    folder: pathlib.Path,
    plan: Plan,
    number: int,
    split: Split,
    embeddings: Float32[np.ndarray, "photos dimensions"],
) -> None:
    """Writes a shard of a split; whatever kills the writer, it is there whole or not at all.

    Raises:
        EmbeddingError: if embeddings are not finite, or have another length than 1.
    """
    rows = plan.shards[number]
    what = f"embeddings of rows {rows.start} to {rows.stop - 1}"
    checked = check_embeddings(embeddings, what, plan.card.embedding_width)
    content = _encode(split, rows, checked)
    atomic_write(folder / f"{_name(number)}.parquet", content)
    atomic_write(
        folder / f"{_name(number)}.json", to_json(_entry(number, rows, content, plan), SCHEMA)
    )


def entries(folder: pathlib.Path, plan: Plan) -> list[ShardFile | None]:
    """What is known of each shard; None where it is missing, cut off or of another plan."""
    return [_read_entry(folder, number, plan) for number in range(len(plan.shards))]


def discard_damaged(folder: pathlib.Path, plan: Plan, numbers: list[int]) -> list[str]:
    """Removes those of the shards whose content is not what was written; returns their names."""
    damaged = []
    for number in numbers:
        entry = _read_entry(folder, number, plan)
        if entry is None or _sha256(_content(folder, entry)) == entry.sha256:
            continue
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / f"{_name(number)}.json").unlink(missing_ok=True)
        damaged.append(entry.file)
    return damaged


def finish(folder: pathlib.Path, plan: Plan) -> bool:
    """Writes the manifest if all shards are there; returns whether they are."""
    found = entries(folder, plan)
    if any(entry is None for entry in found):
        return False
    content = to_json(_Manifest(plan, [entry for entry in found if entry is not None]), SCHEMA)
    path = folder / MANIFEST
    if not path.is_file() or path.read_bytes() != content:
        atomic_write(path, content)
    for left_over in folder.glob(LEFT_OVER):  # of writers that were killed
        left_over.unlink(missing_ok=True)
    return True


def _name(number: int) -> str:
    return f"shard-{number:05d}"


def _entry(number: int, rows: range, content: bytes, plan: Plan) -> ShardFile:
    return ShardFile(
        file=f"{_name(number)}.parquet",
        rows=(rows.start, rows.stop),
        bytes=len(content),
        sha256=_sha256(content),
        plan=plan.digest(),
    )


def _read_entry(folder: pathlib.Path, number: int, plan: Plan) -> ShardFile | None:
    try:
        entry = read_json(folder / f"{_name(number)}.json", ShardFile, SCHEMA, "a shard")
        size = (folder / f"{_name(number)}.parquet").stat().st_size
    except (OSError, StorageError):
        return None
    return entry if entry.bytes == size and entry.plan == plan.digest() else None


def _encode(split: Split, rows: range, embeddings: np.ndarray) -> bytes:
    part = slice(rows.start, rows.stop)
    domains = [DOMAIN_NAMES[domain] for domain in split.domain[part]]
    values = pa.array(embeddings.reshape(-1))
    table = pa.table(
        {
            "row": pa.array(np.arange(rows.start, rows.stop, dtype=np.int64)),
            "photo_id": pa.array(split.photo_id[part].tolist(), pa.string()),
            "identity": pa.array(split.identity[part]),
            "category": pa.array(split.category[part].tolist(), pa.string()),
            "domain": pa.array(domains, pa.string()),
            "camera": pa.array(split.camera[part]),
            "embedding": pa.FixedSizeListArray.from_arrays(values, embeddings.shape[1]),
        }
    )
    encoded = io.BytesIO()
    pq.write_table(table, encoded, use_dictionary=["category", "domain"])
    return encoded.getvalue()


def _read(folder: pathlib.Path, entry: ShardFile, plan: Plan) -> Shard:
    content = _content(folder, entry)
    if _sha256(content) != entry.sha256:
        raise EmbeddingFilesError(
            f"{folder / entry.file} is missing or damaged: its checksum is not the manifest's. "
            f"Run the same `fashion-jax embed` with --repair to make it again"
        )
    table = pq.read_table(io.BytesIO(content))
    embeddings = table["embedding"].combine_chunks().flatten().to_numpy()
    return Shard(
        rows=range(*entry.rows),
        embeddings=embeddings.reshape(table.num_rows, plan.card.embedding_width),
        photo_id=table["photo_id"].to_pylist(),
        identity=table["identity"].to_numpy(),
        category=table["category"].to_pylist(),
        domain=table["domain"].to_pylist(),
        camera=table["camera"].to_numpy(),
    )


def _content(folder: pathlib.Path, entry: ShardFile) -> bytes:
    path = folder / entry.file
    return path.read_bytes() if path.is_file() else b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
