"""Exact search, the reference that every other index is measured against."""

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

from fashion_jax.errors import named
from fashion_jax.files import read_json, to_json
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.index import EmbeddingError, Neighbours, check_embeddings, check_k

SCHEMA = 2
DESCRIPTION = "exact_index.json"
_EMBEDDINGS = "embeddings.npy"

GALLERY_BLOCK = 16384
QUERY_BLOCK = 1024

# Blocks of queries searched concurrently on a single device.
_BLOCKS_AT_ONCE = 2
# Consecutive rows of a block; the best score of a chunk decides whether its rows are examined.
_CHUNK = 32
# Numbers of chunks to examine in a block, the smallest that is enough for all queries; else k.
_FEW_CHUNKS = (8, 16, 32)


@dataclasses.dataclass(frozen=True)
class StoredExact:
    """A saved index; SHA-256 of each file by its name."""

    files: Mapping[str, str]

    def __post_init__(self) -> None:
        if list(self.files) != [_EMBEDDINGS]:
            raise ValueError(f"files that are not {_EMBEDDINGS} alone: {named(list(self.files))}")


class TopK(NamedTuple):
    """Best rows of each query in the part of the gallery searched so far.

    Attributes:
        scores: k highest scores, descending.
        rows: gallery rows of these scores.
        lowest: lowest score of all rows; None unless requested.
    """

    scores: Float32[Array, "queries k"]
    rows: Int32[Array, "queries k"]
    lowest: Float32[Array, " queries"] | None


class ExactIndex:
    """Cosine similarity to every row, in blocks, on one device or on all devices of a mesh.

    A mesh shards the gallery: each device searches its own rows, and the best rows of all devices
    are merged. Scores are accumulated in float32. Memory on top of the gallery is a few times
    `query_block · (block_size + k)` floats per device, and twice that on a single device, which
    searches two blocks of queries concurrently; never queries × gallery.

    Examples:
        >>> import numpy as np
        >>> gallery = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> ExactIndex(gallery).search(np.array([[0.0, 1.0]]), k=2).rows.tolist()
        [[2, 1]]
    """

    def __init__(
        self,
        gallery: Any,
        block_size: int = GALLERY_BLOCK,
        query_block: int = QUERY_BLOCK,
        mesh: Mesh | None = None,
    ) -> None:
        """Move the gallery to the devices.

        Args:
            gallery: [rows, dimensions] embeddings, L2-normalised, any float dtype, at least one
                row. With several hosts, every host passes the whole gallery and keeps the rows of
                its own devices.
            block_size: gallery rows compared at once on a device.
            query_block: maximum number of queries compared at once.
            mesh: devices that share the gallery; by default a single device holds all of it.

        Raises:
            EmbeddingError: if the gallery fails `check_embeddings`, or is empty.
        """
        checked = check_embeddings(gallery, "gallery embeddings")
        if len(checked) == 0:
            raise EmbeddingError("the gallery is empty; an index needs at least one row")
        if mesh is None:
            mesh = jax.make_mesh((1,), ("data",), (AxisType.Auto,), devices=jax.local_devices()[:1])
        self._mesh = mesh
        self._rows, self._dimensions = checked.shape
        self._gallery_gd = _divided(checked, self._mesh)
        self._block_size = min(block_size, len(self._gallery_gd) // self._mesh.size)
        self._query_block = query_block

    def __len__(self) -> int:
        """Number of rows in the gallery."""
        return self._rows

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._dimensions

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the index to a new folder, which can be moved and copied.

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
        """Open a saved index, after checking its file.

        Raises:
            StorageError: the folder holds no index, or its file is damaged.
        """
        path = pathlib.Path(folder).absolute()
        storage.verify(path, read_json(path / DESCRIPTION, StoredExact, SCHEMA, "an index").files)
        return cls(storage.load_embeddings(path / _EMBEDDINGS))

    def search(self, queries: Any, k: int) -> Neighbours:
        """Find the k most similar rows; see `fashion_jax.retrieval.index.Index.search`."""
        return self._search(queries, k, with_lowest=False)[0]

    def search_with_lowest(
        self, queries: Any, k: int
    ) -> tuple[Neighbours, Float32[np.ndarray, " queries"]]:
        """Find the k most similar rows, and each query's lowest score in the whole gallery.

        Args:
            queries: [queries, dimensions] embeddings; see `search`.
            k: number of neighbours; see `search`.

        Returns:
            Neighbours, and the cosine similarity of each query's least similar row.

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

        # XLA selects the best of a block on a single CPU core; the products of another block keep
        # the other cores busy. With several devices, all must take the blocks in the same order.
        with ThreadPoolExecutor(_BLOCKS_AT_ONCE if self._mesh.size == 1 else 1) as workers:
            list(workers.map(search_from, range(0, len(queries_qd), block)))
        return Neighbours(rows=rows, scores=scores), lowest

    def _search_block(
        self,
        queries_qd: Float32[np.ndarray, "queries dimensions"],
        block: int,
        k: int,
        with_lowest: bool,
    ) -> TopK:
        # Padding lets any number of queries share a few compiled programs.
        padded_qd = np.pad(queries_qd, ((0, block - len(queries_qd)), (0, 0)))
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        # Every host has the queries, so that nothing is sent between hosts.
        shared = jax.make_array_from_callback(padded_qd.shape, everywhere, lambda _: padded_qd)
        padding = len(self._gallery_gd) - self._rows
        found = _search(
            shared, self._gallery_gd, padding, k, self._block_size, self._mesh, with_lowest
        )
        return jax.device_get(found)


def _divided(gallery_gd: Float32[np.ndarray, "rows dimensions"], mesh: Mesh) -> Array:
    """Shards the gallery over all devices; each host reads its own rows.

    Zeros before the first row give all devices the same number of rows.
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
    """Size of a block of queries: one of a few, for few compilations and little padding."""
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
) -> TopK:
    """Search the rows of each device and merge the results."""
    axes = mesh.axis_names

    def on_each(queries_qd: Array, own_gd: Array) -> TopK:
        first = lax.axis_index(axes) * own_gd.shape[0] - padding
        found = _search_own(queries_qd, own_gd, first, padding, k, block_size, with_lowest)
        if mesh.size == 1:
            return found
        # Devices are gathered in the order of their rows, so that ties are still ranked by row.
        scores, rows = (
            lax.all_gather(each, axes, axis=1, tiled=True) for each in (found.scores, found.rows)
        )
        scores, chosen = lax.top_k(scores, k)
        rows = jnp.take_along_axis(rows, chosen, axis=1)
        return TopK(scores, rows, lax.pmin(found.lowest, axes) if with_lowest else None)

    nowhere = PartitionSpec()
    return jax.shard_map(
        on_each,
        mesh=mesh,
        in_specs=(nowhere, PartitionSpec(axes)),
        out_specs=nowhere,
        check_vma=False,  # cannot infer that gathered parts are the same on all devices
    )(queries_qd, gallery_gd)


def _search_own(
    queries_qd: Array,
    own_gd: Array,
    first: Array,
    padding: int,
    k: int,
    block_size: int,
    with_lowest: bool,
) -> TopK:
    """Search one device's rows block by block.

    The first block holds the rows left over by whole blocks and all padding, so that the other
    blocks need no mask; masking them cost a twentieth of a search on a CPU.

    Args:
        queries_qd: [queries, dimensions] queries.
        own_gd: [rows, dimensions] rows of this device.
        first: gallery row of the device's first row; negative rows are padding.
        padding: rows of padding before the gallery, over all devices.
        k: number of rows to find.
        block_size: rows compared at once.
        with_lowest: whether to return each query's lowest score.
    """
    blocks = max(len(own_gd) - padding, 0) // block_size
    left_over = len(own_gd) - blocks * block_size

    def scores_of(start: Array | int, rows: int) -> Array:
        part_gd = lax.dynamic_slice_in_dim(own_gd, start, rows)
        return jnp.matmul(queries_qd, part_gd.T, precision=lax.Precision.HIGHEST)

    def merge_block(so_far: TopK, block: Array) -> tuple[TopK, None]:
        start = left_over + block * block_size
        return _merge(so_far, scores_of(start, block_size), first + start), None

    queries = queries_qd.shape[0]
    found = TopK(
        jnp.full((queries, k), -jnp.inf, jnp.float32),
        jnp.zeros((queries, k), jnp.int32),
        jnp.full(queries, jnp.inf, jnp.float32) if with_lowest else None,
    )
    if left_over:
        found = _merge(found, scores_of(0, left_over), first, padded=padding > 0)
    return lax.scan(merge_block, found, jnp.arange(blocks, dtype=jnp.int32))[0]


def _merge(so_far: TopK, scores: Array, first_row: Array, padded: bool = False) -> TopK:
    """Merge a block's scores into the k best, and the lowest, so far.

    Selecting the best of all scores in a block takes as long as computing them. After a few blocks,
    only few scores beat the k best so far, so that only the chunks with the highest scores are
    examined: as many as contain a better score for any query. k chunks are always enough: each of
    the k best chunks has a score at least as high as any score of the others, or the same score in
    an earlier row.

    Args:
        so_far: best of the rows before.
        scores: [queries, block] scores.
        first_row: gallery row of the block's first column.
        padded: whether the block has columns before row 0, which are left out.
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

    def look_into(chunks: int) -> TopK:
        # Sorted by row: `top_k` prefers the first of equal scores, so that ties go by row.
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
