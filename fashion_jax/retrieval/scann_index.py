"""Approximate search with ScaNN (Guo et al. 2020, arXiv:1908.10396).

Given input it cannot handle, ScaNN aborts the process, or returns fewer rows and NaN scores. All
such input is caught here before it reaches ScaNN.
"""

import dataclasses
import math
import os
import pathlib
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import named
from fashion_jax.files import MEND, StorageError, read_json, to_json
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.index import (
    EmbeddingError,
    Neighbours,
    by_score_then_row,
    check_embeddings,
    check_k,
)
from fashion_jax.retrieval.scann_settings import (
    PARTITIONED_FROM,
    ScannError,
    ScannMissingError,
    ScannSettings,
)

__all__ = ["ScannError", "ScannIndex", "ScannMissingError", "ScannSettings"]

SCHEMA = 2
DESCRIPTION = "scann_index.json"

CANDIDATES_PER_NEIGHBOUR = 4
_PARALLEL_FROM = 256


@dataclasses.dataclass(frozen=True)
class StoredScann:
    """A saved index.

    Attributes:
        rows: rows of the gallery.
        dimensions: length of an embedding.
        settings: settings that it was built with.
        files: SHA-256 of each of ScaNN's files by its name.
    """

    rows: Annotated[int, msgspec.Meta(ge=1)]
    dimensions: Annotated[int, msgspec.Meta(ge=1)]
    settings: ScannSettings
    files: Mapping[str, str]

    def __post_init__(self) -> None:
        strange = [name for name in self.files if pathlib.PurePath(name).name != name]
        if strange:
            raise ValueError(f"files that are not in the index's folder: {named(strange)}")
        try:
            self.settings.check(self.rows)
        except ScannError as error:
            raise ValueError(str(error)) from error


class ScannIndex:
    """ScaNN with the interface of `fashion_jax.retrieval.index.Index`."""

    def __init__(self, searcher: Any, settings: ScannSettings, rows: int, dimensions: int) -> None:
        """Wraps a ScaNN searcher; see `build` and `load`."""
        self.settings = settings
        self._searcher = searcher
        self._rows = rows
        self._dimensions = dimensions

    @classmethod
    def build(cls, gallery: Any, settings: ScannSettings | None = None) -> "ScannIndex":
        """Build an index of a gallery.

        Args:
            gallery: [rows, dimensions] embeddings, L2-normalised, any float dtype, at least one
                row.
            settings: settings of ScaNN; by default chosen by the number of rows.

        Raises:
            EmbeddingError: if the gallery fails `check_embeddings`, or is empty.
            ScannError: if the settings do not fit the gallery, or ScaNN is not installed.
        """
        gallery_gd = check_embeddings(gallery, "gallery embeddings")
        rows, dimensions = gallery_gd.shape
        if rows == 0:
            raise EmbeddingError("the gallery is empty; an index needs at least one row")
        settings = settings or ScannSettings.for_rows(rows)
        settings.check(rows)
        return cls(_build_searcher(gallery_gd, settings), settings, rows, dimensions)

    def __len__(self) -> int:
        """Number of rows in the gallery."""
        return self._rows

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._dimensions

    def search(self, queries: Any, k: int) -> Neighbours:
        """Find the k most similar rows; see `fashion_jax.retrieval.index.Index.search`.

        The number of candidates grows with k, and a query whose partitions hold fewer than k rows
        is searched in all partitions, so that the result always has min(k, len(self)) distinct
        rows.
        """
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        found = self._ask(queries_qd, k, *self.effort(k))
        short = np.isnan(found.scores).any(axis=1)
        if short.any():
            rest = self._ask(queries_qd[short], k, len(self), self.settings.leaves)
            found.rows[short], found.scores[short] = rest.rows, rest.scores
        return by_score_then_row(found)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Save the index to a new folder, which can be moved and copied.

        Raises:
            StorageError: if the folder exists and is not empty.
        """
        target = pathlib.Path(folder).absolute()
        with storage.staged(target) as staging:
            self._searcher.serialize(str(staging), relative_path=True)
            files = storage.checksums(staging)
            description = StoredScann(self._rows, self._dimensions, self.settings, files)
            (staging / DESCRIPTION).write_bytes(to_json(description, SCHEMA))
            storage.install_new(staging, target)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> "ScannIndex":
        """Load a saved index, after checking every file that ScaNN will read.

        Raises:
            StorageError: if the folder contains no index, or files (which are named) are damaged.
            ScannMissingError: if ScaNN is not installed.
        """
        path = pathlib.Path(folder).absolute()
        description = check_files(path)
        scann = _scann()
        try:
            searcher = scann.load_searcher(str(path), assets_backcompat_shim=False)
        except (RuntimeError, ValueError, OSError) as error:  # removed since the check
            raise StorageError(f"{path} cannot be opened: {error}") from error
        if searcher.size() != description.rows:
            raise StorageError(
                f"{path} is damaged: it holds {searcher.size()} rows, its {DESCRIPTION} says "
                f"{description.rows}. {MEND}"
            )
        return cls(searcher, description.settings, description.rows, description.dimensions)

    def searched_with(self, reorder: int, leaves_to_search: int) -> "ScannIndex":
        """Return the same index with other search settings, for more recall or speed.

        Args:
            reorder: number of candidates whose exact scores are computed.
            leaves_to_search: number of nearest partitions that are searched.

        Raises:
            ScannError: if the settings do not fit the index.
        """
        settings = dataclasses.replace(
            self.settings, reorder=reorder, leaves_to_search=leaves_to_search
        )
        settings.check(len(self))
        return ScannIndex(self._searcher, settings, self._rows, self._dimensions)

    def effort(self, k: int) -> tuple[int, int]:
        """Numbers of candidates and partitions used in a search for k neighbours.

        They are at least those of the settings. There are enough partitions to hold a few times
        the candidates, if all were of the same size.
        """
        candidates = min(len(self), max(self.settings.reorder, CANDIDATES_PER_NEIGHBOUR * k))
        leaves = self.settings.leaves
        needed = math.ceil(leaves * min(1.0, CANDIDATES_PER_NEIGHBOUR * candidates / len(self)))
        return candidates, max(self.settings.leaves_to_search, needed)

    def _ask(
        self,
        queries_qd: Float32[np.ndarray, "queries dimensions"],
        k: int,
        candidates: int,
        leaves: int,
    ) -> Neighbours:
        """Search with ScaNN, which pads missing results with row 0 and NaN."""
        if len(queries_qd) == 0:
            return Neighbours(np.empty((0, k), np.int32), np.empty((0, k), np.float32))
        many = len(queries_qd) >= _PARALLEL_FROM
        searcher = self._searcher
        ask = searcher.search_batched_parallel if many else searcher.search_batched
        rows, scores = ask(
            queries_qd,
            final_num_neighbors=k,
            pre_reorder_num_neighbors=candidates if self.settings.hashed else None,
            leaves_to_search=leaves or None,
        )
        return Neighbours(rows=rows.astype(np.int32), scores=np.array(scores, dtype=np.float32))


def _build_searcher(
    gallery_gd: Float32[np.ndarray, "rows dimensions"], settings: ScannSettings
) -> Any:
    rows = len(gallery_gd)
    builder = _scann().builder(gallery_gd, min(10, rows), "dot_product")
    if not settings.hashed:
        return builder.score_brute_force().build()
    if settings.leaves:
        builder = builder.tree(
            num_leaves=settings.leaves,
            num_leaves_to_search=settings.leaves_to_search,
            training_sample_size=max(PARTITIONED_FROM, 50 * settings.leaves),
        )
    # ScaNN's documentation recommends 2 dimensions per block, and this threshold for unit rows.
    builder = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
    return builder.reorder(min(settings.reorder, rows)).build()


def check_files(folder: pathlib.Path) -> StoredScann:
    """Check every file of a saved index that ScaNN would read.

    Returns:
        Description of the index.

    Raises:
        StorageError: if the folder contains no index, or files (which are named) are damaged.
    """
    description = read_json(folder / DESCRIPTION, StoredScann, SCHEMA, "a ScaNN index")
    storage.verify(folder, description.files)
    _refuse_pickles(folder)
    return description


def scann_is_installed() -> bool:
    """Return whether ScaNN can be imported."""
    try:
        _scann()
    except ScannMissingError:
        return False
    return True


def _scann() -> Any:
    try:
        from scann.scann_ops.py import scann_ops_pybind
    except ImportError as error:
        raise ScannMissingError(
            "ScaNN cannot be imported; its wheels are for Linux and Python up to 3.13. Use the "
            "exact index instead, or install ScaNN: pip install scann"
        ) from error
    return scann_ops_pybind


def _refuse_pickles(folder: pathlib.Path) -> None:
    # ScaNN would unpickle this file if it existed, and a pickle can run code.
    stray = folder / "scann_docids.pkl"
    if stray.exists():
        raise StorageError(f"{stray} does not belong to this index; remove it")
