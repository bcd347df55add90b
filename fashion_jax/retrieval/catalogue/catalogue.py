"""An opened catalogue: searches, names, thumbnails."""

import functools
import os
import pathlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Int64

from fashion_jax.addresses import at_addresses
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import Contents, Segment, write_segment
from fashion_jax.retrieval.catalogue.item_table import ItemTable, group_codes
from fashion_jax.retrieval.catalogue.items import (
    MOST_PHOTOS,
    Group,
    Hit,
    Item,
    ranked,
)
from fashion_jax.retrieval.catalogue.live_index import LiveIndex
from fashion_jax.retrieval.catalogue.manifest import SCHEMA, Manifest
from fashion_jax.retrieval.catalogue.where import Condition, Where, allowed_rows, parse_where
from fashion_jax.retrieval.filtered import FilteredIndex
from fashion_jax.retrieval.grouped import Groups, nearest_groups
from fashion_jax.retrieval.index import Index, check_embeddings
from fashion_jax.retrieval.make_index import check_kind

# Each filter holds a copy of the embeddings of its photos.
_FILTERS_KEPT = 4
Rows = Int64[np.ndarray, " rows"]


class Catalogue:
    """A snapshot of a catalogue, which later changes of its files do not affect; see `open`."""

    def __init__(self, contents: Contents) -> None:
        """See `open`."""
        self._contents = contents
        self._filtered = functools.lru_cache(maxsize=_FILTERS_KEPT)(self._make_filtered)
        self._groups = functools.lru_cache(self._make_groups)

    @classmethod
    @at_addresses("directory")
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
    @at_addresses("directory", must_exist=("directory",))
    def open(
        cls, directory: str | os.PathLike[str], older: "Catalogue | None" = None
    ) -> "Catalogue":
        """Open a catalogue after checking all of its files.

        It keeps answering from this state when the catalogue is changed, replaced or moved.

        Args:
            directory: folder of the catalogue.
            older: the same catalogue, opened in an older state: files that have not changed since
                are neither read nor checked again.

        Raises:
            StorageError: not a catalogue, or files (which are named) are damaged.
            ModelCardError: a model card of another version.
        """
        target = pathlib.Path(directory).absolute()
        manifest = Manifest.read(target)
        while True:
            try:
                contents = Contents(target, manifest)
                if older is not None:
                    contents.take_over(older._contents)
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
        self,
        queries: Any,
        k: int,
        card: ModelCard,
        where: Where = (),
        without: Sequence[int] | Rows = (),
    ) -> list[list[Hit]]:
        """Find the k most similar photos for each query.

        Args:
            queries: [queries, dimensions] embeddings, L2-normalised.
            k: number of answers; values above the number of photos return all photos.
            card: card of the model that embedded the queries.
            where: conditions that answers have to meet, such as `price<50`; see `parse_where`.
            without: rows of photos to leave out of the answers.

        Returns:
            Answers of each query, best first, ties by row.

        Raises:
            ModelCardError: the queries come from a model other than the catalogue's; each
                differing field is named.
            EmbeddingError: the queries fail `check_embeddings`, or k is below 1.
            WhereError: a condition that cannot be read, or that does not fit the fields.
        """
        self.card.require_same(card, "the catalogue", "the query's model")
        found = self._index_of(where, without).search(queries, k)
        items = self._items_at(np.unique(found.rows).astype(np.int64))
        return [
            [
                Hit(rank, int(row), items[int(row)], float(score))
                for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
            ]
            for rows, scores in zip(found.rows, found.scores, strict=True)
        ]

    def search_groups(
        self,
        queries: Any,
        k: int,
        card: ModelCard,
        by: str = "product",
        where: Where = (),
        without: Sequence[int] | Rows = (),
    ) -> list[list[Group]]:
        """Find the k products with the most similar photos for each query.

        Args:
            queries: see `search`.
            k: number of answers; values above the number of products return all products.
            card: see `search`.
            by: `product`, or the name of a field whose values make the groups, such as a style of
                several colours.
            where: see `search`; other photos of an answer have to meet the conditions as well.
            without: see `search`.

        Returns:
            Answers of each query, in the order of their best photos, each with its other photos.

        Raises:
            CatalogueError: an unknown field to group by.
            FashionJaxError: see `search`.
        """
        self.card.require_same(card, "the catalogue", "the query's model")
        groups, index = self._groups(by), self._index_of(where, without)
        allowed = index.allowed if isinstance(index, FilteredIndex) else self._all()
        queries_qd = check_embeddings(queries, "queries", self.card.embedding_width)
        found = nearest_groups(
            index.search,
            queries_qd,
            k,
            lambda rows: groups.codes[rows],
            len(index),
            groups.count(allowed),
        )
        return [
            self._ranked(
                query, [rows[allowed[rows]] for rows in map(groups.rows_of, codes.tolist())], by
            )
            for query, codes in zip(queries_qd, found, strict=True)
        ]

    def embeddings_of(self, rows: Sequence[int] | Rows) -> Float32[np.ndarray, "rows dimensions"]:
        """L2-normalised embeddings of some rows, which ascend."""
        return self._contents.embeddings_of(rows)

    def match_count(self, where: Where) -> int:
        """Number of photos that meet conditions; see `search`."""
        return int(allowed_rows(parse_where(where), self.items).sum())

    def thumbnail(self, row: int) -> bytes:
        """Return the photo in `row` as a small JPEG."""
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} is out of range for a catalogue of {len(self)} photos")
        return self._contents.thumbnail(int(row))

    @property
    def embeddings(self) -> Float32[np.ndarray, "photos dimensions"]:
        """L2-normalised embeddings; those of a single whole segment are mapped into memory."""
        return self._contents.embeddings()

    def _index_of(self, where: Where, without: Sequence[int] | Rows) -> Index:
        """Index of the photos that may be answers."""
        conditions = parse_where(where)
        index = self._filtered(conditions) if conditions else self.index
        if not len(without):
            return index
        allowed = index.allowed.copy() if isinstance(index, FilteredIndex) else self._all()
        allowed[np.asarray(without)] = False
        return FilteredIndex(index, allowed, self._contents.embeddings_of)

    def _make_filtered(self, conditions: tuple[Condition, ...]) -> FilteredIndex:
        allowed = allowed_rows(conditions, self.items)
        return FilteredIndex(self.index, allowed, self._contents.embeddings_of)

    def _make_groups(self, by: str) -> Groups:
        return Groups(group_codes(self.items, by))

    def _all(self) -> Bool[np.ndarray, " photos"]:
        return np.ones(len(self), bool)

    def _ranked(
        self, query: Float32[np.ndarray, " dimensions"], groups: Sequence[np.ndarray], by: str
    ) -> list[Group]:
        """Answers to a query: all photos of its groups, with their exact scores."""
        if not groups:
            return []
        rows = np.sort(np.concatenate(groups))
        scores = dict(zip(rows.tolist(), self._contents.embeddings_of(rows) @ query, strict=True))
        best = [
            sorted(each.tolist(), key=lambda row: (-scores[row], row))[:MOST_PHOTOS]
            for each in groups
        ]
        items = self._items_at(np.concatenate(best))
        answers = []
        for each, shown in zip(groups, best, strict=True):
            hits = [Hit(n, row, items[row], float(scores[row])) for n, row in enumerate(shown, 1)]
            answers.append(Group(0, by, items[shown[0]].text(by), hits, len(each)))
        return ranked(answers)

    def _items_at(self, rows: Rows) -> dict[int, Item]:
        return dict(zip(rows.tolist(), self.items.take(rows), strict=True))
