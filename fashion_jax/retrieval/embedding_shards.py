"""Stored embeddings: Parquet shards, each complete or absent, and a manifest of all of them.

```
plan.json                    dataset, model, and number of photos per shard
shard-00000.parquet          row, photo_id, identity, product, category, domain, camera, embedding
shard-00000.json             rows, size and SHA-256 of the shard, written when it is complete
manifest.json                all of the above in one file, written when all shards are complete
```
"""

import dataclasses
import hashlib
import itertools
import os
import pathlib
from collections.abc import Iterator
from typing import Annotated

import msgspec
import numpy as np
from jaxtyping import Float32

from fashion_jax.addresses import at_addresses, size_of
from fashion_jax.datasets.dataset import Split
from fashion_jax.files import (
    StorageError,
    UnreadableFileError,
    atomic_write,
    read_file,
    read_json,
    to_json,
)
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.embedding_plan import SCHEMA, Count, EmbeddingPlan, read_plan
from fashion_jax.retrieval.index import check_embeddings
from fashion_jax.retrieval.shard_tables import Shard, ShardError, decode_shard, encode_shard

MANIFEST = "manifest.json"
_LEFT_OVERS = ".shard-*.unfinished"
_Identity = tuple[str, tuple[int, int], str]


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
    rows: tuple[Count, Count]
    bytes: Count
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


@at_addresses("directory", must_exist=("directory",))
def open_embeddings(directory: str | os.PathLike[str]) -> StoredEmbeddings:
    """Open a finished folder of embeddings; checksums are verified as shards are read.

    Raises:
        StorageError: not a folder of embeddings, an unfinished one, or a manifest that is damaged
            or whose shards are not those of its plan.
    """
    folder = pathlib.Path(directory).absolute()
    if not (folder / MANIFEST).exists():
        plan = read_plan(folder)
        done = sum(entry is not None for entry in shard_files(folder, plan))
        raise StorageError(
            f"{folder} is not finished: it has {done} of {len(plan.shards)} shards. Run the same "
            f"`fashion-jax embed` again to resume"
        )
    mend = "Remove it, and run the same `fashion-jax embed` again"
    stored = read_json(folder / MANIFEST, _Manifest, SCHEMA, "a folder of embeddings", mend=mend)
    wanted = _identities(stored.plan)
    for found, expected in itertools.zip_longest(map(_identity, stored.shards), wanted):
        if found != expected:
            raise StorageError(
                f"{folder / MANIFEST} is damaged: it has {found or 'no shard'}, where its plan has "
                f"{expected or 'no shard'}. {mend}"
            )
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
    content = encode_shard(split, rows, checked)
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
    return [
        _read_entry(folder, number, identity) for number, identity in enumerate(_identities(plan))
    ]


def discard_damaged(folder: pathlib.Path, plan: EmbeddingPlan, numbers: list[int]) -> list[str]:
    """Discards the shards whose checksum is wrong; returns the names of their files."""
    damaged = []
    identities = _identities(plan)
    for number in numbers:
        entry = _read_entry(folder, number, identities[number])
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


def _identities(plan: EmbeddingPlan) -> list[_Identity]:
    """File, rows and plan of each shard."""
    digest = plan.digest()
    return [
        (f"{_name(number)}.parquet", (rows.start, rows.stop), digest)
        for number, rows in enumerate(plan.shards)
    ]


def _identity(entry: ShardFile) -> _Identity:
    return entry.file, entry.rows, entry.plan


def _read_entry(folder: pathlib.Path, number: int, identity: _Identity) -> ShardFile | None:
    try:
        entry = read_json(folder / f"{_name(number)}.json", ShardFile, SCHEMA, "a shard")
        size = size_of(folder / f"{_name(number)}.parquet")
    except (OSError, StorageError):
        return None
    return entry if entry.bytes == size and _identity(entry) == identity else None


def _read(folder: pathlib.Path, entry: ShardFile, plan: EmbeddingPlan) -> Shard:
    content = _content(folder, entry)
    if _sha256(content) != entry.sha256:
        raise _damaged(folder, entry, "its checksum differs from the manifest")
    try:
        return decode_shard(content, range(*entry.rows), plan.card.embedding_width)
    except ShardError as error:
        raise _damaged(folder, entry, str(error)) from error


def _damaged(folder: pathlib.Path, entry: ShardFile, what: str) -> StorageError:
    return StorageError(
        f"{folder / entry.file} is missing or damaged: {what}. Run the same `fashion-jax embed` "
        f"with --repair to make it again"
    )


def _content(folder: pathlib.Path, entry: ShardFile) -> bytes:
    """Content of a shard; empty where it cannot be read."""
    try:
        return read_file(folder / entry.file, entry.bytes)
    except UnreadableFileError:
        return b""


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
