"""Exact search: the reference that every other index is measured against."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float32, Int32

from fashion_jax.retrieval.index import EmbeddingError, Neighbours, check_embeddings, check_k

GALLERY_BLOCK = 8192
QUERY_BLOCK = 1024


class Found(NamedTuple):
    """What is known of some queries after a part of the gallery.

    Attributes:
        scores: the k highest so far, falling.
        rows: of the gallery, where they were found.
        lowest: the lowest score so far.
    """

    scores: Float32[Array, "queries k"]
    rows: Int32[Array, "queries k"]
    lowest: Float32[Array, " queries"]


class ExactIndex:
    """Cosine similarity to every row, in blocks, on one device or on all devices of a mesh.

    A mesh divides the gallery; each device searches its own rows and the best of all devices are
    merged. Scores are accumulated in float32. Memory beside the gallery is a few times
    `query_block · (block_size + k)` floats a device, never queries × gallery.
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

    def search(self, queries: Any, k: int) -> Neighbours:
        """Finds the k most similar rows; see `fashion_jax.retrieval.index.Index.search`."""
        return self.search_with_lowest(queries, k)[0]

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
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        block = min(self._query_block, _power_of_two_from(len(queries_qd)))
        scores = np.empty((len(queries_qd), k), dtype=np.float32)
        rows = np.empty((len(queries_qd), k), dtype=np.int32)
        lowest = np.empty(len(queries_qd), dtype=np.float32)
        for start in range(0, len(queries_qd), block):
            part_qd = queries_qd[start : start + block]
            stop = start + len(part_qd)
            found = self._search_block(part_qd, block, k)
            for whole, part in zip((scores, rows, lowest), found, strict=True):
                whole[start:stop] = part[: len(part_qd)]
        return Neighbours(rows=rows, scores=scores), lowest

    def _search_block(
        self, queries_qd: Float32[np.ndarray, "queries dimensions"], block: int, k: int
    ) -> Found:
        # Padded, so that any number of queries runs through few compiled programs.
        padded_qd = np.pad(queries_qd, ((0, block - len(queries_qd)), (0, 0)))
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        # Every host has the queries: nothing has to be sent between them.
        shared = jax.make_array_from_callback(padded_qd.shape, everywhere, lambda _: padded_qd)
        found = _search(shared, self._gallery_gd, self._rows, k, self._block_size, self._mesh)
        return jax.device_get(found)


def _one_device() -> Mesh:
    return jax.make_mesh((1,), ("data",), (AxisType.Auto,), devices=jax.local_devices()[:1])


def _divided(gallery_gd: Float32[np.ndarray, "rows dimensions"], mesh: Mesh) -> Array:
    """The gallery over all devices, padded to share it evenly; each host reads its own rows."""
    rows, dimensions = gallery_gd.shape
    each = -(-rows // mesh.size)
    sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))

    def part(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(each * mesh.size)
        own = gallery_gd[start:stop]
        return own if len(own) == stop - start else np.pad(own, ((0, each - len(own)), (0, 0)))

    return jax.make_array_from_callback((each * mesh.size, dimensions), sharding, part)


def _power_of_two_from(count: int) -> int:
    return 1 << max(count - 1, 0).bit_length()


@functools.partial(jax.jit, static_argnames=("count", "k", "block_size", "mesh"))
def _search(
    queries_qd: Float32[Array, "queries dimensions"],
    gallery_gd: Float32[Array, "gallery dimensions"],
    count: int,
    k: int,
    block_size: int,
    mesh: Mesh,
) -> Found:
    """Searches each device's rows and merges what the devices found."""
    axes = mesh.axis_names

    def on_each(queries_qd: Array, own_gd: Array) -> Found:
        first = lax.axis_index(axes) * own_gd.shape[0]
        found = _search_own(queries_qd, own_gd, first, count, k, block_size)
        if mesh.size == 1:
            return found
        # Devices stand in the order of their rows, so that ties still go by row.
        scores, rows = (
            lax.all_gather(each, axes, axis=1, tiled=True) for each in (found.scores, found.rows)
        )
        scores, chosen = lax.top_k(scores, k)
        rows = jnp.take_along_axis(rows, chosen, axis=1)
        return Found(scores, rows, lax.pmin(found.lowest, axes))

    nowhere = PartitionSpec()
    return jax.shard_map(
        on_each,
        mesh=mesh,
        in_specs=(nowhere, PartitionSpec(axes)),
        out_specs=nowhere,
        check_vma=False,  # it does not see that gathered parts are the same everywhere
    )(queries_qd, gallery_gd)


def _search_own(
    queries_qd: Array, own_gd: Array, first: Array, count: int, k: int, block_size: int
) -> Found:
    """Takes a device's rows block by block; rows from `count` on are padding."""
    own = own_gd.shape[0]

    def merge_block(so_far: Found, block: Array) -> tuple[Found, None]:
        # The last block is moved back to be whole; rows that it has in common with the one
        # before must not be found twice.
        first_new = block * block_size
        start = jnp.minimum(first_new, own - block_size)
        part_gd = lax.dynamic_slice_in_dim(own_gd, start, block_size)
        places = start + jnp.arange(block_size, dtype=jnp.int32)
        rows = first + places
        scores = jnp.matmul(queries_qd, part_gd.T, precision=lax.Precision.HIGHEST)
        counts = ((places >= first_new) & (rows < count))[None, :]
        low = jnp.where(counts, scores, jnp.inf).min(axis=1)
        return _merge(so_far, jnp.where(counts, scores, -jnp.inf), rows, low), None

    shape = (queries_qd.shape[0], k)
    nothing = Found(
        jnp.full(shape, -jnp.inf, jnp.float32),
        jnp.zeros(shape, jnp.int32),
        jnp.full(shape[0], jnp.inf, jnp.float32),
    )
    blocks = jnp.arange(-(-own // block_size), dtype=jnp.int32)
    return lax.scan(merge_block, nothing, blocks)[0]


def _merge(so_far: Found, scores: Array, rows: Array, low: Array) -> Found:
    """The k best of those so far and a block's.

    `top_k` prefers the earlier of equals, and earlier blocks stand first: ties go by row.
    """
    k = so_far.scores.shape[1]
    new_scores, columns = lax.top_k(scores, min(k, scores.shape[1]))
    all_scores = jnp.concatenate([so_far.scores, new_scores], axis=1)
    all_rows = jnp.concatenate([so_far.rows, rows[columns]], axis=1)
    top_scores, chosen = lax.top_k(all_scores, k)
    top_rows = jnp.take_along_axis(all_rows, chosen, axis=1)
    return Found(top_scores, top_rows, jnp.minimum(so_far.lowest, low))
