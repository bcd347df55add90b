"""An opened catalogue: searches, names, thumbnails."""

import difflib
import functools
import os
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32

from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.items import Hit, Item
from fashion_jax.retrieval.catalogue.live_index import LiveIndex
from fashion_jax.retrieval.catalogue.manifest import CatalogueError, Manifest
from fashion_jax.retrieval.catalogue.segment import Segment, write_segment
from fashion_jax.retrieval.index import Index
from fashion_jax.retrieval.make_index import check_kind

# Each holds a copy of the embeddings of its photos.
_FILTERS_KEPT = 4


class Catalogue:
    """A catalogue as it was when it was opened, whatever becomes of its files; see `open`."""

    def __init__(self, contents: Contents) -> None:
        """Takes over what `open` has read."""
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
        """Builds a catalogue, or replaces one in a single step; interrupted, it changes nothing.

        Args:
            directory: its folder.
            embeddings: [photos, dimensions], L2-normalised, any float dtype.
            items: one a photo.
            thumbnails: JPEGs, one a photo, best no longer than 160 pixels on either side; read
                one by one.
            card: of the model that made the embeddings.
            kind: `exact`, `scann`, or `auto`: ScaNN from the size where it is faster. Where ScaNN
                is not installed, exact search takes its place, with a warning.

        Returns:
            The new catalogue, opened.

        Raises:
            CatalogueError: if the parts are not of one size, or the kind does not exist.
            EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
            StorageError: if the folder holds something that is not a catalogue.
        """
        checked = check_kind(kind)
        target = pathlib.Path(directory).absolute()
        with storage.staged(target) as staging:
            width = card.embedding_width
            entry = write_segment(staging, embeddings, items, thumbnails, kind, width)
            Manifest(checked, card, (entry,)).write(staging)
            storage.install(staging, target)
        return cls.open(target)

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> "Catalogue":
        """Opens a catalogue after checking all of its files.

        It goes on to answer as it was when the catalogue is changed, replaced or moved.

        Raises:
            StorageError: if there is no catalogue, or files (which are named) are damaged.
            ModelCardError: if its model card cannot be read.
        """
        target = pathlib.Path(directory).absolute()
        manifest = Manifest.read(target)
        while True:
            try:
                contents = Contents.read(target, manifest)
                for segment in contents.segments:
                    segment.open()
                return cls(contents)
            except (FashionJaxError, OSError):
                # It may have been changed, and old files removed, while they were being read.
                newer = Manifest.read(target)
                if newer == manifest:
                    raise
                manifest = newer

    @property
    def card(self) -> ModelCard:
        """Of the model that made the embeddings."""
        return self._contents.manifest.card

    @property
    def kind(self) -> str:
        """Of the index that was asked for: `auto`, `exact` or `scann`."""
        return self._contents.manifest.kind

    @property
    def items(self) -> Sequence[Item]:
        """What is known of each photo, in the order of their rows."""
        return self._contents.items

    @property
    def segments(self) -> Sequence[Segment]:
        """Its parts, removed rows included."""
        return self._contents.segments

    @functools.cached_property
    def categories(self) -> list[str]:
        """Names of all categories, sorted."""
        return sorted({item.category for item in self.items})

    @functools.cached_property
    def index(self) -> Index:
        """Over all photos; its rows are those of `items`."""
        return LiveIndex.of_contents(self._contents)

    def __len__(self) -> int:
        """Number of photos."""
        return len(self._contents)

    def search(
        self, queries: Any, k: int, card: ModelCard, categories: Collection[str] | None = None
    ) -> list[list[Hit]]:
        """Finds the k photos most similar to each query.

        Args:
            queries: [queries, dimensions], L2-normalised.
            k: answers a query; all photos where there are fewer.
            card: of the model that embedded the queries.
            categories: only photos of these, compared exactly; by default all photos.

        Returns:
            For each query its answers, best first, equals by row.

        Raises:
            ModelCardError: if the queries come from another model than the catalogue; each
                differing field is named.
            EmbeddingError: if the queries are not what `check_embeddings` asks for, or k < 1.
            CatalogueError: if there is no such category.
        """
        self.card.require_same(card, "the catalogue", "the query's model")
        if categories is None:
            index = self.index
        else:
            index = self._of_categories(frozenset(self._known(categories)))
        found = index.search(queries, k)
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
        return self._contents.thumbnail(int(row))

    @property
    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """L2-normalised, one row a photo; of one whole segment not read, but mapped into memory."""
        return self._contents.embeddings()

    def _known(self, categories: Collection[str]) -> Collection[str]:
        if isinstance(categories, str):
            categories = [categories]
        if not categories:
            raise CatalogueError("a search by category needs at least one category")
        for name in categories:
            if name not in self.categories:
                near = difflib.get_close_matches(name, self.categories, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise CatalogueError(
                    f"there is no photo of the category {name!r}; {hint}"
                    f"There are {', '.join(self.categories) or 'none at all'}"
                )
        return categories

    def _make_filtered(self, categories: frozenset[str]) -> Index:
        allowed = [row for row, item in enumerate(self.items) if item.category in categories]
        return LiveIndex.of_photos(self._contents, np.array(allowed, np.int32))
