"""Stored embeddings: Parquet shards, each complete or absent, and a manifest of all of them.

```
plan.json                    dataset, model, and number of photos per shard
shard-00000.parquet          row, photo_id, identity, category, domain, camera, embedding
shard-00000.json             rows, size and SHA-256 of the shard, written when it is complete
manifest.json                all of the above in one file, written when all shards are complete
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
from fashion_jax.retrieval.embedding_plan import SCHEMA, EmbeddingPlan, read_plan
from fashion_jax.retrieval.index import check_embeddings

MANIFEST = "manifest.json"
_LEFT_OVERS = ".shard-*.unfinished"


@dataclasses.dataclass(frozen=True)
class Shard:
    """A contiguous range of a split's photos, with their embeddings.

    Attributes:
        rows: rows of the split.
        embeddings: L2-normalised embeddings, one per photo.
        photo_id: names of the photos.
        identity: identities of the products.
        category: categories of the garments.
        domain: `street` or `shop`, per photo.
        camera: cameras; −1 if unknown.
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
        """The photos as a catalogue's items."""
        columns = (self.photo_id, self.identity.tolist(), self.category, self.domain)
        return [Item(*values) for values in zip(*columns, strict=True)]


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """Description of a complete shard.

    Attributes:
        file: name of the shard's file.
        rows: first row of the split in the shard, and the row after the last.
        bytes: size of the file.
        sha256: checksum of the file.
        plan: digest of the plan.
    """

    file: Annotated[str, msgspec.Meta(pattern=r"^shard-\d+\.parquet$")]
    rows: tuple[int, int]
    bytes: int
    sha256: str
    plan: str


@dataclasses.dataclass(frozen=True)
class _Manifest:
    plan: EmbeddingPlan
    shards: list[ShardFile]


@dataclasses.dataclass(frozen=True)
class StoredEmbeddings:
    """A finished folder of embeddings; see `open_embeddings`.

    Attributes:
        folder: absolute path.
        plan: plan of the embeddings.
        files: descriptions of the shards.
    """

    folder: pathlib.Path
    plan: EmbeddingPlan
    files: list[ShardFile]

    def __len__(self) -> int:
        """Number of photos."""
        return self.plan.photos

    @property
    def card(self) -> ModelCard:
        """Card of the model that made the embeddings."""
        return self.plan.card

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.plan.card.embedding_width

    def shards(self) -> Iterator[Shard]:
        """Read one shard at a time: each photo once, in the split's order.

        Raises:
            StorageError: a shard (which is named) is missing or damaged.
        """
        for entry in self.files:
            yield _read(self.folder, entry, self.plan)

    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """Return all embeddings, which have to fit into memory."""
        parts = [shard.embeddings for shard in self.shards()]
        return np.concatenate(parts) if parts else np.empty((0, self.dimensions), np.float32)


def open_embeddings(directory: str | os.PathLike[str]) -> StoredEmbeddings:
    """Open a finished folder of embeddings; checksums are verified as shards are read.

    Raises:
        StorageError: not a folder of embeddings, or an unfinished one.
    """
    folder = pathlib.Path(directory).absolute()
    if not (folder / MANIFEST).is_file():
        plan = read_plan(folder)
        done = sum(entry is not None for entry in shard_files(folder, plan))
        raise StorageError(
            f"{folder} is not finished: it has {done} of {len(plan.shards)} shards. Run the same "
            f"`fashion-jax embed` again to resume"
        )
    stored = read_json(folder / MANIFEST, _Manifest, SCHEMA, "a folder of embeddings")
    return StoredEmbeddings(folder, stored.plan, stored.shards)


def write_shard(
    folder: pathlib.Path,
    plan: EmbeddingPlan,
    number: int,
    split: Split,
    embeddings: Float32[np.ndarray, "photos dimensions"],
) -> None:
    """Write a shard of a split; a killed writer leaves it complete or absent.

    Raises:
        EmbeddingError: the embeddings fail `check_embeddings`.
    """
    rows = plan.shards[number]
    what = f"embeddings of rows {rows.start} to {rows.stop - 1}"
    checked = check_embeddings(embeddings, what, plan.card.embedding_width)
    content = _encode(split, rows, checked)
    atomic_write(folder / f"{_name(number)}.parquet", content)
    entry = ShardFile(
        file=f"{_name(number)}.parquet",
        rows=(rows.start, rows.stop),
        bytes=len(content),
        sha256=_sha256(content),
        plan=plan.digest(),
    )
    atomic_write(folder / f"{_name(number)}.json", to_json(entry, SCHEMA))


def shard_files(folder: pathlib.Path, plan: EmbeddingPlan) -> list[ShardFile | None]:
    """List all shards; None for those that are missing, truncated or of another plan."""
    return [_read_entry(folder, number, plan) for number in range(len(plan.shards))]


def discard_damaged(folder: pathlib.Path, plan: EmbeddingPlan, numbers: list[int]) -> list[str]:
    """Discards the shards whose checksum is wrong; returns the names of their files."""
    damaged = []
    for number in numbers:
        entry = _read_entry(folder, number, plan)
        if entry is None or _sha256(_content(folder, entry)) == entry.sha256:
            continue
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / f"{_name(number)}.json").unlink(missing_ok=True)
        damaged.append(entry.file)
    return damaged


def finish(folder: pathlib.Path, plan: EmbeddingPlan) -> bool:
    """Write the manifest if all shards are complete; return whether they are."""
    found = shard_files(folder, plan)
    if any(entry is None for entry in found):
        return False
    content = to_json(_Manifest(plan, [entry for entry in found if entry is not None]), SCHEMA)
    path = folder / MANIFEST
    if not path.is_file() or path.read_bytes() != content:
        atomic_write(path, content)
    return True


def remove_left_overs(folder: pathlib.Path) -> None:
    """Remove the unfinished shards of killed writers; no other process may be writing any."""
    for left_over in folder.glob(_LEFT_OVERS):
        left_over.unlink(missing_ok=True)


def _name(number: int) -> str:
    return f"shard-{number:05d}"


def _read_entry(folder: pathlib.Path, number: int, plan: EmbeddingPlan) -> ShardFile | None:
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


def _read(folder: pathlib.Path, entry: ShardFile, plan: EmbeddingPlan) -> Shard:
    content = _content(folder, entry)
    if _sha256(content) != entry.sha256:
        raise StorageError(
            f"{folder / entry.file} is missing or damaged: its checksum differs from the manifest. "
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
