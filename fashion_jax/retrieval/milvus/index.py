"""Search beyond the memory of one machine: the index protocol over Milvus (docs/milvus.md)."""

import collections
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue import Hit, Item
from fashion_jax.retrieval.catalogue.items import MOST_PHOTOS, UNKNOWN_PRODUCT, Group, ranked
from fashion_jax.retrieval.catalogue.where import Where
from fashion_jax.retrieval.grouped import nearest_groups
from fashion_jax.retrieval.index import (
    Neighbours,
    by_score_then_row,
    check_embeddings,
    check_k,
)
from fashion_jax.retrieval.milvus.build import PhotoBatch, build_collection
from fashion_jax.retrieval.milvus.collection import (
    CollectionDescription,
    read_description,
    resolve,
)
from fashion_jax.retrieval.milvus.rows import (
    BATCH_ROWS,
    EMBEDDING,
    ITEM_FIELDS,
    PHOTO_KEY,
    PRODUCT_KEY,
    ROW,
    UNKNOWN_ITEM,
    check_rows,
    check_texts,
    is_one_of,
    key,
    messages,
    to_filter,
)
from fashion_jax.retrieval.milvus.search import search_batches
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings

MOST_NEIGHBOURS = 16_384
_ATTEMPTS = 3


class MilvusIndex:
    """A Milvus collection behind the protocol of `fashion_jax.retrieval.index.Index`.

    A photo keeps its row number when others are removed. Use the index as a context manager, or
    `close` it, to release a local file.
    """

    def __init__(
        self, connection: MilvusConnection, name: str, description: CollectionDescription
    ) -> None:
        """See `build` and `open`."""
        self.card = description.card
        self.settings = description.settings
        self._connection = connection
        self._name = name

    @classmethod
    def build(
        cls,
        place: MilvusPlace,
        gallery: Any,
        card: ModelCard,
        items: Sequence[Item] | None = None,
        settings: MilvusSettings | None = None,
    ) -> "MilvusIndex":
        """Build a collection from a gallery in memory; see `build_from`."""
        return cls.build_from(place, [PhotoBatch(gallery, items)], card, settings)

    @classmethod
    def build_from(
        cls,
        place: MilvusPlace,
        photos: Iterable[PhotoBatch],
        card: ModelCard,
        settings: MilvusSettings | None = None,
    ) -> "MilvusIndex":
        """Build a collection, or replace one in a single step; interrupted, it changes nothing.

        Args:
            place: server and name of the collection.
            photos: batches of the gallery; their rows are numbered in order, from 0.
            card: card of the model that made the embeddings.
            settings: settings of the index; by default chosen by the number of rows.

        Returns:
            The new collection, opened.

        Raises:
            EmbeddingError: the embeddings fail `check_embeddings`, or are empty.
            MilvusError: the name belongs to a collection that fashion-jax did not build, Milvus
                fails, or pymilvus is not installed.
        """
        return cls(*build_collection(place, photos, card, settings))

    @classmethod
    def open(cls, place: MilvusPlace, card: ModelCard | None = None) -> "MilvusIndex":
        """Open a collection.

        Args:
            place: server and name of the collection.
            card: card of the model that embeds the queries, to be compared with the collection's.

        Raises:
            MilvusError: no such collection, no answer from the server, or no pymilvus.
            ModelCardError: the collection is of another model; each differing field is named.
        """
        connection = MilvusConnection(place)
        try:
            name = resolve(connection)
            if name is None:
                raise MilvusError(f"no collection {place}; build it with: fashion-jax milvus build")
            description = read_description(connection, name)
            if card is not None:
                description.card.require_same(card, "the collection", "the query's model")
            with connection.errors("load the collection"):
                connection.client.load_collection(name)
        except BaseException:
            connection.close()
            raise
        return cls(connection, name, description)

    def close(self) -> None:
        """Disconnects."""
        self._connection.close()

    def __enter__(self) -> "MilvusIndex":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Current number of rows."""
        return self._count("")

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.card.embedding_width

    def add(
        self, rows: Sequence[int], embeddings: Any, items: Sequence[Item] | None = None
    ) -> None:
        """Add or replace rows; safe to repeat after an interruption.

        Args:
            rows: distinct row numbers, from 0 to 2³¹ − 1.
            embeddings: [rows, dimensions] embeddings, L2-normalised, any float dtype.
            items: items, one per row; by default unknown.

        Raises:
            EmbeddingError: the embeddings fail `check_embeddings`.
            MilvusError: row numbers, embeddings and items differ in number, or Milvus fails.
        """
        array = check_embeddings(embeddings, "embeddings", self.dimensions)
        numbers = check_rows(rows)
        given = [UNKNOWN_ITEM] * len(array) if items is None else items
        if not len(numbers) == len(array) == len(given):
            raise MilvusError(
                f"found {len(numbers)} row numbers, {len(array)} embeddings and {len(given)} "
                f"items; each row needs one of each"
            )
        check_texts(given)
        with self._connection.errors("add rows"):
            for message in messages(numbers, array, given):
                self._connection.client.upsert(self._name, message)

    def remove(self, rows: Sequence[int]) -> int:
        """Remove rows; skip those that do not exist.

        Returns:
            Number of removed rows.
        """
        numbers = check_rows(rows)
        removed = 0
        for start in range(0, len(numbers), BATCH_ROWS):
            where = is_one_of(ROW, numbers[start : start + BATCH_ROWS])
            removed += self._count(where)
            with self._connection.errors("remove rows"):
                self._connection.client.delete(self._name, filter=where)
        return removed

    def search(self, queries: Any, k: int, where: Where = ()) -> Neighbours:
        """Find the k most similar rows; see `fashion_jax.retrieval.index.Index.search`.

        A query whose partitions hold fewer than k rows is repeated in all partitions, so that
        every query gets min(k, number of allowed rows) distinct rows.

        Args:
            queries: [queries, dimensions] embeddings, L2-normalised, any float dtype.
            k: number of neighbours, at most 16,384.
            where: conditions on `photo_id`, `product`, `category` and `domain` that rows have to
                meet; see `fashion_jax.retrieval.catalogue.where.parse_where`.

        Raises:
            EmbeddingError: the queries fail `check_embeddings`, or k is below 1.
            WhereError: a condition that a collection cannot check.
            MilvusError: k is too large for Milvus, or Milvus fails.
        """
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        allowed = to_filter(where)
        for _ in range(_ATTEMPTS):  # rows may be removed between counting and searching
            wanted = min(check_k(k, 2**31), self._count(allowed))
            if wanted > MOST_NEIGHBOURS:
                raise MilvusError(
                    f"Milvus returns at most {MOST_NEIGHBOURS:,} neighbours, but {wanted:,} were "
                    f"requested; request fewer, or use a catalogue with the exact index"
                )
            found = search_batches(
                self._connection, self._name, self.settings, queries_qd, wanted, allowed
            )
            if found is not None:
                return by_score_then_row(found)
        raise MilvusError(
            f"{self._connection.place} found fewer than {wanted} of its rows in {_ATTEMPTS} "
            f"attempts; unless rows are being removed right now, build it again"
        )

    def search_items(
        self, queries: Any, k: int, card: ModelCard, where: Where = ()
    ) -> list[list[Hit]]:
        """Find the k most similar photos, with their items; see `search`.

        Raises:
            ModelCardError: the queries come from another model; each differing field is named.
        """
        self.card.require_same(card, "the collection", "the query's model")
        found = self.search(queries, k, where)
        items = self.items(np.unique(found.rows).tolist())
        return [
            [
                Hit(rank, row, items.get(row, UNKNOWN_ITEM), score)
                for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
            ]
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
        ]

    def search_products(
        self, queries: Any, k: int, card: ModelCard, where: Where = ()
    ) -> list[list[Group]]:
        """Find the k products with the most similar photos, each with its other photos.

        Args:
            queries: see `search`.
            k: number of products; fewer are found if those of the 16,384 most similar photos are
                fewer.
            card: card of the model that embedded the queries.
            where: see `search`.

        Raises:
            ModelCardError: the queries come from another model; each differing field is named.
        """
        self.card.require_same(card, "the collection", "the query's model")
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        deepest = min(self._count(to_filter(where)), MOST_NEIGHBOURS)
        found = nearest_groups(
            lambda some, depth: self.search(some, depth, where),
            queries_qd,
            k,
            self._product_keys,
            deepest,
        )
        return [
            ranked(self._groups_of(query, keys, where))
            for query, keys in zip(queries_qd, found, strict=True)
        ]

    def _product_keys(self, rows: np.ndarray) -> np.ndarray:
        """Numbers of the products of rows; each row without a product has one of its own."""
        unique, places = np.unique(rows, return_inverse=True)
        found = self._query(ROW, unique.tolist(), [PRODUCT_KEY])
        keys = {record[ROW]: record[PRODUCT_KEY] for record in found}
        unknown = key(UNKNOWN_PRODUCT)
        numbers = [-1 - row if keys.get(row, unknown) == unknown else keys[row] for row in unique]
        return np.array(numbers, np.int64)[places]

    def _groups_of(self, query: np.ndarray, keys: np.ndarray, where: Where) -> Iterator[Group]:
        """Products by their numbers, with all photos and their exact scores."""
        fields = [*ITEM_FIELDS, PRODUCT_KEY, EMBEDDING]
        known, alone = keys[keys >= 0].tolist(), (-1 - keys[keys < 0]).tolist()
        records = list(self._query(PRODUCT_KEY, known, fields, to_filter(where)))
        records += self._query(ROW, alone, fields)
        photos = collections.defaultdict(list)
        for record in records:
            item = Item(**{name: record[name] for name in ITEM_FIELDS})
            score = float(np.asarray(record[EMBEDDING], np.float32) @ query)
            photos[item.product or record[ROW]].append((-score, record[ROW], item))
        for found in photos.values():
            best = sorted(found, key=lambda photo: photo[:2])[:MOST_PHOTOS]
            hits = [Hit(n, row, item, -score) for n, (score, row, item) in enumerate(best, 1)]
            yield Group(0, "product", hits[0].item.product, hits, len(found))

    def items(self, rows: Sequence[int]) -> dict[int, Item]:
        """Return the items of rows by row number, without rows that do not exist."""
        fields = list(ITEM_FIELDS)
        found = self._query(ROW, check_rows(rows), fields)
        return {record[ROW]: Item(**{name: record[name] for name in fields}) for record in found}

    def rows_of(self, photo_ids: Sequence[str]) -> dict[str, list[int]]:
        """Return the rows of photos by photo id, without photos that do not exist."""
        keys = [key(photo_id) for photo_id in photo_ids]
        rows: dict[str, list[int]] = {}
        for record in self._query(PHOTO_KEY, keys, ["photo_id"]):
            rows.setdefault(record["photo_id"], []).append(record[ROW])
        return {name: sorted(rows[name]) for name in photo_ids if name in rows}

    def _query(
        self, field: str, numbers: Sequence[int], fields: list[str], also: str = ""
    ) -> Iterator[dict]:
        for start in range(0, len(numbers), BATCH_ROWS):
            where = is_one_of(field, numbers[start : start + BATCH_ROWS])
            where = f"{where} and {also}" if also else where
            with self._connection.errors("read photos"):
                yield from self._ask(where, [ROW, *fields])

    def _count(self, where: str) -> int:
        with self._connection.errors("count rows"):
            return int(self._ask(where, ["count(*)"])[0]["count(*)"])

    def _ask(self, where: str, fields: list[str]) -> Any:
        timeout = self._connection.place.timeout
        return self._connection.client.query(
            self._name, filter=where, output_fields=fields, timeout=timeout
        )
