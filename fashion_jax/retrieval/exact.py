"""Exact search: the reference that every other index is measured against."""

import dataclasses
import functools
import os
import pathlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, Int32

from fashion_jax.files import read_json, to_json
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.index import EmbeddingError, Neighbours, check_embeddings, check_k

SCHEMA = 1
DESCRIPTION = "exact_index.json"
_EMBEDDINGS = "embeddings.npy"

GALLERY_BLOCK = 16384
QUERY_BLOCK = 1024

# Blocks of queries that are searched at the same time on one device.
_BLOCKS_AT_ONCE = 2
# Neighbouring rows of a block whose best score says whether they are looked into.
_CHUNK = 32
# So many chunks of a block are looked into if that is enough for all queries, else k of them.
_FEW_CHUNKS = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class StoredExact:
    """A saved index; SHA-256 of each file by its name."""

    files: Mapping[str, str]


class Found(NamedTuple):
    """What is known of some queries after a part of the gallery.

    Attributes:
        scores: the k highest so far, falling.
        rows: of the gallery, where they were found.
        lowest: the lowest score so far; None if nobody asked for it.
    """

    scores: Float32[Array, "queries k"]
    rows: Int32[Array, "queries k"]
    lowest: Float32[Array, " queries"] | None


class ExactIndex:
    """Cosine similarity to every row, in blocks, on one device or on all devices of a mesh.

    A mesh divides the gallery; each device searches its own rows and the best of all devices are
    merged. Scores are accumulated in float32. Memory beside the gallery is a few times
    `query_block · (block_size + k)` floats a device, twice that where there is but one, which
    searches two blocks of queries at once; never queries × gallery.
    """

    def __init__(
        self,
        gallery: Any,
        block_size: int = GALLERY_BLOCK,
        query_block: int = QUERY_BLOCK,
        mesh: Mesh | None = None,
    ) -> None:
        """Puts the gallery where it is searched.

        Args:
            gallery: [rows, dimensions], L2-normalised, any float dtype, at least one row. On
                several hosts each of them has to have it; each keeps the rows of its own devices.
            block_size: gallery rows compared at once on a device.
            query_block: queries compared at once, at most.
            mesh: whose devices share the gallery; by default one device has all of it.

        Raises:
            EmbeddingError: if the gallery is not what `check_embeddings` asks for, or is empty.
        """
        checked = check_embeddings(gallery, "gallery embeddings")
        if len(checked) == 0:
            raise EmbeddingError("the gallery is empty: there is nothing to search in")
        self._mesh = _one_device() if mesh is None else mesh
        self._rows, self._dimensions = checked.shape
        self._gallery_gd = _divided(checked, self._mesh)
        self._block_size = min(block_size, len(self._gallery_gd) // self._mesh.size)
        self._query_block = query_block

    def __len__(self) -> int:
        """Rows in the gallery."""
        return self._rows

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._dimensions

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Writes the index to a new folder, which can be moved and copied.

        Raises:
            StorageError: the folder exists and is not empty.
        """
        target = pathlib.Path(folder).absolute()
        padding = len(self._gallery_gd) - self._rows
        with storage.staged(target) as staging:
            np.save(staging / _EMBEDDINGS, np.asarray(self._gallery_gd)[padding:])
            description = StoredExact(storage.checksums(staging))
            (staging / DESCRIPTION).write_bytes(to_json(description, SCHEMA))
            storage.install_new(staging, target)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "ExactIndex":
        """Opens a saved index, after checking its file.

        Raises:
            StorageError: the folder holds no index, or its file is damaged.
        """
        path = pathlib.Path(folder).absolute()
        storage.verify(path, read_json(path / DESCRIPTION, StoredExact, SCHEMA, "an index").files)
        return cls(np.load(path / _EMBEDDINGS, mmap_mode="r", allow_pickle=False))

    def search(self, queries: Any, k: int) -> Neighbours:
        """Finds the k most similar rows; see `fashion_jax.retrieval.index.Index.search`."""
        return self._search(queries, k, with_lowest=False)[0]

    def search_with_lowest(
        self, queries: Any, k: int
    ) -> tuple[Neighbours, Float32[np.ndarray, " queries"]]:
        """Finds the k most similar rows, and each query's lowest score over the whole gallery.

        Args:
            queries: see `search`.
            k: see `search`.

        Returns:
            The neighbours, and the cosine similarity of the least similar row of each query.

        Raises:
            EmbeddingError: see `search`.
        """
        return self._search(queries, k, with_lowest=True)

    def _search(
        self, queries: Any, k: int, with_lowest: bool
    ) -> tuple[Neighbours, Float32[np.ndarray, " queries"]]:
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        block = _query_block_for(len(queries_qd), self._query_block)
        scores = np.empty((len(queries_qd), k), dtype=np.float32)
        rows = np.empty((len(queries_qd), k), dtype=np.int32)
        lowest = np.empty(len(queries_qd) if with_lowest else 0, dtype=np.float32)

        def search_from(start: int) -> None:
            part_qd = queries_qd[start : start + block]
            stop = start + len(part_qd)
            found = self._search_block(part_qd, block, k, with_lowest)
            for whole, part in zip((scores, rows, lowest), found, strict=True):
                if part is not None:
                    whole[start:stop] = part[: len(part_qd)]

        # XLA picks the best of a block on one core of a CPU: another block's products fill the
        # others meanwhile. Devices that wait for each other must all take blocks in one order.
        with ThreadPoolExecutor(_BLOCKS_AT_ONCE if self._mesh.size == 1 else 1) as workers:
            list(workers.map(search_from, range(0, len(queries_qd), block)))
        return Neighbours(rows=rows, scores=scores), lowest

    def _search_block(
        self,
        queries_qd: Float32[np.ndarray, "queries dimensions"],
        block: int,
        k: int,
        with_lowest: bool,
    ) -> Found:
        # Padded, so that any number of queries runs through few compiled programs.
        padded_qd = np.pad(queries_qd, ((0, block - len(queries_qd)), (0, 0)))
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        # Every host has the queries: nothing has to be sent between them.
        shared = jax.make_array_from_callback(padded_qd.shape, everywhere, lambda _: padded_qd)
        padding = len(self._gallery_gd) - self._rows
        found = _search(
            shared, self._gallery_gd, padding, k, self._block_size, self._mesh, with_lowest
        )
        return jax.device_get(found)


def _one_device() -> Mesh:
    return jax.make_mesh((1,), ("data",), (AxisType.Auto,), devices=jax.local_devices()[:1])


def _divided(gallery_gd: Float32[np.ndarray, "rows dimensions"], mesh: Mesh) -> Array:
    """The gallery over all devices; each host reads its own rows.

    Zeros before the first row let all devices have the same number of rows.
    """
    rows, dimensions = gallery_gd.shape
    each = -(-rows // mesh.size)
    padding = each * mesh.size - rows
    sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))

    def part(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(each * mesh.size)
        own = gallery_gd[max(start - padding, 0) : max(stop - padding, 0)]
        return own if len(own) == each else np.pad(own, ((each - len(own), 0), (0, 0)))

    return jax.make_array_from_callback((each * mesh.size, dimensions), sharding, part)


def _query_block_for(count: int, most: int) -> int:
    """One of a few sizes, so that few programs are compiled, that needs little padding."""
    if count <= most:
        return min(most, 1 << max(count - 1, 0).bit_length())
    each = -(-count // -(-count // most))
    return min(most, -(-each // 8) * 8)


@functools.partial(jax.jit, static_argnames=("padding", "k", "block_size", "mesh", "with_lowest"))
def _search(
    queries_qd: Float32[Array, "queries dimensions"],
    gallery_gd: Float32[Array, "gallery dimensions"],
    padding: int,
    k: int,
    block_size: int,
    mesh: Mesh,
    with_lowest: bool,
) -> Found:
    """Searches each device's rows and merges what the devices found."""
    axes = mesh.axis_names

    def on_each(queries_qd: Array, own_gd: Array) -> Found:
        first = lax.axis_index(axes) * own_gd.shape[0] - padding
        found = _search_own(queries_qd, own_gd, first, padding, k, block_size, with_lowest)
        if mesh.size == 1:
            return found
        # Devices stand in the order of their rows, so that ties still go by row.
        scores, rows = (
            lax.all_gather(each, axes, axis=1, tiled=True) for each in (found.scores, found.rows)
        )
        scores, chosen = lax.top_k(scores, k)
        rows = jnp.take_along_axis(rows, chosen, axis=1)
        return Found(scores, rows, lax.pmin(found.lowest, axes) if with_lowest else None)

    nowhere = PartitionSpec()
    return jax.shard_map(
        on_each,
        mesh=mesh,
        in_specs=(nowhere, PartitionSpec(axes)),
        out_specs=nowhere,
        check_vma=False,  # it does not see that gathered parts are the same everywhere
    )(queries_qd, gallery_gd)


def _search_own(
    queries_qd: Array,
    own_gd: Array,
    first: Array,
    padding: int,
    k: int,
    block_size: int,
    with_lowest: bool,
) -> Found:
    """Takes a device's rows block by block.

    The first block has what is left over by whole ones and all padding, so that nothing of the
    others has to be masked: on a CPU that took a twentieth of a search.

    Args:
        queries_qd: [queries, dimensions].
        own_gd: [rows, dimensions] of this device.
        first: row of the gallery that its first row is; negative ones are padding.
        padding: rows of padding before the gallery, over all devices.
        k: how many to find.
        block_size: rows compared at once.
        with_lowest: whether each query's lowest score is asked for.
    """
    blocks = max(len(own_gd) - padding, 0) // block_size
    left_over = len(own_gd) - blocks * block_size

    def scores_of(start: Array | int, rows: int) -> Array:
        part_gd = lax.dynamic_slice_in_dim(own_gd, start, rows)
        return jnp.matmul(queries_qd, part_gd.T, precision=lax.Precision.HIGHEST)

    def merge_block(so_far: Found, block: Array) -> tuple[Found, None]:
        start = left_over + block * block_size
        return _merge(so_far, scores_of(start, block_size), first + start), None

    queries = queries_qd.shape[0]
    found = Found(
        jnp.full((queries, k), -jnp.inf, jnp.float32),
        jnp.zeros((queries, k), jnp.int32),
        jnp.full(queries, jnp.inf, jnp.float32) if with_lowest else None,
    )
    if left_over:
        found = _merge(found, scores_of(0, left_over), first, padded=padding > 0)
    return lax.scan(merge_block, found, jnp.arange(blocks, dtype=jnp.int32))[0]


def _merge(so_far: Found, scores: Array, first_row: Array, padded: bool = False) -> Found:
    """The k best, and the lowest, of those so far and of a block's scores.

    To choose the best of all of a block's scores takes as long as to compute them. Few of them
    are better than the k so far, once some blocks are done, so that only the chunks with the
    highest scores are looked into: as many as have a better one for any query. k chunks are
    always enough: each of the k best chunks has a score at least as high as any score of the
    others, or the same score in an earlier row.

    Args:
        so_far: of the rows before.
        scores: [queries, block].
        first_row: of the gallery, which the block's first column is.
        padded: whether columns before row 0 have to be left out.
    """
    queries, k = so_far.scores.shape
    if so_far.lowest is not None:
        real = _without_padding(scores, first_row, jnp.inf) if padded else scores
        so_far = so_far._replace(lowest=jnp.minimum(so_far.lowest, real.min(axis=1)))
    if padded:
        scores = _without_padding(scores, first_row, -jnp.inf)
    if missing := -scores.shape[1] % _CHUNK:
        scores = jnp.pad(scores, ((0, 0), (0, missing)), constant_values=-jnp.inf)
    chunked_qcs = scores.reshape(queries, -1, _CHUNK)
    best_qc = chunked_qcs.max(axis=2)
    better = (best_qc > so_far.scores[:, -1:]).sum(axis=1).max()

    def look_into(chunks: int) -> Found:
        # In the order of rows: `top_k` prefers the first of equals, so that ties go by row.
        chosen_qn = jnp.sort(lax.top_k(best_qc, chunks)[1], axis=1)
        looked_qns = jnp.take_along_axis(chunked_qcs, chosen_qn[:, :, None], axis=1)
        all_scores = jnp.concatenate([so_far.scores, looked_qns.reshape(queries, -1)], axis=1)
        top_scores, places = lax.top_k(all_scores, k)
        old_rows = jnp.take_along_axis(so_far.rows, jnp.minimum(places, k - 1), axis=1)
        nth, within = jnp.divmod(jnp.maximum(places - k, 0), _CHUNK)
        columns = jnp.take_along_axis(chosen_qn, nth, axis=1) * _CHUNK + within
        rows = jnp.where(places < k, old_rows, first_row + columns)
        return so_far._replace(scores=top_scores, rows=rows)

    most = min(k, best_qc.shape[1])
    numbers = [few for few in _FEW_CHUNKS if few < most] + [most]
    enough = sum((better > few).astype(jnp.int32) for few in numbers[:-1])
    return lax.switch(enough, [functools.partial(look_into, each) for each in numbers])


def _without_padding(scores: Array, first_row: Array, instead: float) -> Array:
    columns = jnp.arange(scores.shape[1], dtype=jnp.int32)
    return jnp.where(first_row + columns >= 0, scores, instead)
