"""An opened catalogue: searches, names, thumbnails."""

import functools
import os
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import Contents, Segment, write_segment
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError, Hit, Item
from fashion_jax.retrieval.catalogue.live_index import LiveIndex
from fashion_jax.retrieval.catalogue.manifest import SCHEMA, Manifest
from fashion_jax.retrieval.index import Index
from fashion_jax.retrieval.make_index import check_kind
from fashion_jax.similar_names import did_you_mean, told_apart

# Each filter holds a copy of the embeddings of its photos.
_FILTERS_KEPT = 4


class Catalogue:
    """A snapshot of a catalogue, which later changes of its files do not affect; see `open`."""

    def __init__(self, contents: Contents) -> None:
        """See `open`."""
        self._contents = contents
        self._of_categories = functools.lru_cache(maxsize=_FILTERS_KEPT)(self._make_filtered)

    @classmethod
    def write(
        cls,
        directory: str | os.PathLike[str],
        embeddings: Any,
        items: Sequence[Item],
        thumbnails: Iterable[bytes],
        card: ModelCard,
        kind: str = "auto",
    ) -> "Catalogue":
        """Build a catalogue, or replace one in a single step; interrupted, it changes nothing.

        Args:
            directory: folder of the catalogue.
            embeddings: [photos, dimensions] embeddings, L2-normalised, any float dtype.
            items: items, one per photo.
            thumbnails: JPEGs, one per photo, ideally at most 160 pixels on either side; read one
                by one.
            card: card of the model that made the embeddings.
            kind: `exact`, `scann`, or `auto`: ScaNN from the size where it is faster. Without
                ScaNN, exact search takes its place, with a warning.

        Returns:
            The new catalogue, opened.

        Raises:
            CatalogueError: embeddings, items and thumbnails differ in number, or are empty.
            EmbeddingError: the embeddings fail `check_embeddings`.
            StorageError: the folder holds something other than a catalogue.
            FashionJaxError: an unknown kind.
        """
        checked = check_kind(kind)
        target = pathlib.Path(directory).absolute()
        storage.require_place(target)
        with storage.staged(target) as staging:
            width = card.embedding_width
            entry = write_segment(staging, embeddings, items, thumbnails, checked, width)
            manifest = Manifest(checked, card, (entry,))
            (staging / storage.MANIFEST).write_bytes(to_json(manifest, SCHEMA))
            storage.install(staging, target)
        return cls.open(target)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> "Catalogue":
        """Open a catalogue after checking all of its files.

        It keeps answering from this state when the catalogue is changed, replaced or moved.

        Raises:
            StorageError: not a catalogue, or files (which are named) are damaged.
            ModelCardError: a model card of another version.
        """
        target = pathlib.Path(directory).absolute()
        manifest = Manifest.read(target)
        while True:
            try:
                contents = Contents(target, manifest)
                for segment in contents.segments:
                    segment.open()
                return cls(contents)
            except (FashionJaxError, OSError):
                # A change may have removed old files while they were being read.
                newer = Manifest.read(target)
                if newer == manifest:
                    raise
                manifest = newer

    @property
    def card(self) -> ModelCard:
        """Card of the model that made the embeddings."""
        return self._contents.manifest.card

    @property
    def kind(self) -> str:
        """Requested kind of index: `auto`, `exact` or `scann`."""
        return self._contents.manifest.kind

    @property
    def items(self) -> ItemTable:
        """Items, one per photo, in the order of their rows; read one by one."""
        return self._contents.items

    @property
    def segments(self) -> Sequence[Segment]:
        """Segments, removed rows included."""
        return self._contents.segments

    @functools.cached_property
    def categories(self) -> list[str]:
        """Categories of the photos, sorted."""
        return sorted(pc.unique(self.items.column("category")).to_pylist())

    @functools.cached_property
    def index(self) -> Index:
        """Index of all photos; its rows are those of `items`."""
        return LiveIndex.of_contents(self._contents)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self._contents)

    def search(
        self, queries: Any, k: int, card: ModelCard, categories: Collection[str] | None = None
    ) -> list[list[Hit]]:
        """Find the k photos most similar to each query.

        Args:
            queries: [queries, dimensions] embeddings, L2-normalised.
            k: number of answers; values above the number of photos return all photos.
            card: card of the model that embedded the queries.
            categories: categories to restrict the search to, which is exact then; by default all.

        Returns:
            Answers of each query, best first, ties by row.

        Raises:
            ModelCardError: the queries come from a model other than the catalogue's; each
                differing field is named.
            EmbeddingError: the queries fail `check_embeddings`, or k is below 1.
            CatalogueError: an unknown category.
        """
        self.card.require_same(card, "the catalogue", "the query's model")
        if categories is None:
            index = self.index
        else:
            index = self._of_categories(frozenset(self._known(categories)))
        found = index.search(queries, k)
        rows = np.unique(found.rows)
        items = dict(zip(rows.tolist(), self.items.take(rows), strict=True))
        return [
            [
                Hit(rank, int(row), items[int(row)], float(score))
                for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
            ]
            for rows, scores in zip(found.rows, found.scores, strict=True)
        ]

    def thumbnail(self, row: int) -> bytes:
        """Return the photo in `row` as a small JPEG."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is out of range for a catalogue of {len(self)} photos")
        return self._contents.thumbnail(int(row))

    @property
    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """L2-normalised embeddings; those of a single whole segment are mapped into memory."""
        return self._contents.embeddings()

    def _known(self, categories: Collection[str]) -> Collection[str]:
        if isinstance(categories, str):
            categories = [categories]
        if not categories:
            raise CatalogueError("the list of categories is empty; name at least one")
        for name in categories:
            if name not in self.categories:
                known = ", ".join(told_apart(self.categories)) or "none: it has no photos"
                raise CatalogueError(
                    f"no photo of the category {name!r}; choose from {known}"
                    f"{did_you_mean(name, self.categories)}"
                )
        return categories

    def _make_filtered(self, categories: frozenset[str]) -> Index:
        allowed = pc.is_in(self.items.column("category"), pa.array(sorted(categories)))
        return LiveIndex.of_photos(self._contents, np.flatnonzero(allowed).astype(np.int32))
