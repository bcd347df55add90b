"""Search beyond one machine's memory: the protocol of `index.py` over Milvus (docs/milvus.md)."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue import Hit, Item
from fashion_jax.retrieval.index import (
    Neighbours,
    by_score_then_row,
    check_embeddings,
    check_k,
)
from fashion_jax.retrieval.milvus.build import Part, build_collection
from fashion_jax.retrieval.milvus.collection import Description, describe, resolve
from fashion_jax.retrieval.milvus.rows import (
    BATCH_ROWS,
    ITEM_FIELDS,
    NOTHING,
    PHOTO_KEY,
    ROW,
    batches,
    category_filter,
    check_rows,
    check_texts,
    is_one_of,
    key,
)
from fashion_jax.retrieval.milvus.search import search_batches
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings

MOST_NEIGHBOURS = 16_384
_ATTEMPTS = 3


class MilvusIndex:
    """A collection of Milvus behind the protocol of `fashion_jax.retrieval.index.Index`.

    Rows are numbers that stay with a photo: removing others does not change them. Use it as a
    context manager, or `close` it, to give a local file free.
    """

    def __init__(self, connection: MilvusConnection, name: str, description: Description) -> None:
        """Wraps a finished collection; see `build` and `open`."""
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
        """Builds a collection of a gallery that is in memory; see `build_from`."""
        return cls.build_from(place, [Part(gallery, items)], card, settings)

    @classmethod
    def build_from(
        cls,
        place: MilvusPlace,
        parts: Iterable[Part],
        card: ModelCard,
        settings: MilvusSettings | None = None,
    ) -> "MilvusIndex":
        """Builds a collection, or replaces one in a single step; interrupted, it changes nothing.

        Args:
            place: where.
            parts: of the gallery, numbered as they come, from row 0 on.
            card: of the model that made the embeddings.
            settings: chosen by the number of rows if `None`.

        Returns:
            The new collection, opened.

        Raises:
            EmbeddingError: if embeddings are not what `check_embeddings` asks for, or there are
                none.
            MilvusError: if Milvus refuses something, the name is taken by a collection that is
                none of ours, or pymilvus is not installed.
        """
        return cls(*build_collection(place, parts, card, settings))

    @classmethod
    def open(cls, place: MilvusPlace, card: ModelCard | None = None) -> "MilvusIndex":
        """Opens a collection.

        Args:
            place: where it is.
            card: of the model that will embed the queries, to be compared with the collection's.

        Raises:
            MilvusError: if there is no such collection, nobody answers, or pymilvus is missing.
            ModelCardError: if the collection is another model's; each differing field is named.
        """
        connection = MilvusConnection(place)
        try:
            name = resolve(connection)
            if name is None:
                raise MilvusError(
                    f"there is no collection {place}; build it with: fashion-jax milvus build"
                )
            description = describe(connection, name)
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
        """Rows in the collection, as of now."""
        return self._count("")

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self.card.embedding_width

    def add(
        self, rows: Sequence[int], embeddings: Any, items: Sequence[Item] | None = None
    ) -> None:
        """Adds rows, or replaces those that are there; interrupted, it can be repeated.

        Args:
            rows: [rows], their numbers, from 0 to 2³¹ − 1, each once.
            embeddings: [rows, dimensions], L2-normalised, any float dtype.
            items: one a row, with the categories that searches can be limited to.

        Raises:
            EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
            MilvusError: if numbers, embeddings and items do not fit together, or Milvus refuses.
        """
        array = check_embeddings(embeddings, "embeddings", self.dimensions)
        numbers = check_rows(rows)
        given = [NOTHING] * len(array) if items is None else items
        if not len(numbers) == len(array) == len(given):
            raise MilvusError(
                f"there are {len(numbers)} row numbers, {len(array)} embeddings and "
                f"{len(given)} items; each row needs one of each"
            )
        check_texts(given)
        with self._connection.errors("add rows"):
            for batch in batches(numbers, array, given):
                self._connection.client.upsert(self._name, batch)

    def remove(self, rows: Sequence[int]) -> int:
        """Removes rows; those that are not there are passed over.

        Returns:
            How many were there.
        """
        numbers = check_rows(rows)
        removed = 0
        for start in range(0, len(numbers), BATCH_ROWS):
            where = is_one_of(ROW, numbers[start : start + BATCH_ROWS])
            removed += self._count(where)
            with self._connection.errors("remove rows"):
                self._connection.client.delete(self._name, filter=where)
        return removed

    def search(self, queries: Any, k: int, categories: Sequence[str] | None = None) -> Neighbours:
        """Finds the k most similar rows; see `fashion_jax.retrieval.index.Index.search`.

        A query whose partitions hold fewer than k rows is asked again in all of them. So there are
        always min(k, rows) distinct rows, where `rows` are those of the categories.

        Args:
            queries: [queries, dimensions], L2-normalised, any float dtype.
            k: how many, at most 16,384.
            categories: only photos of these; of all if `None`. One that no photo has finds none.

        Raises:
            EmbeddingError: if the queries are not what `check_embeddings` asks for, or k < 1.
            MilvusError: if k is too large for Milvus, or Milvus fails.
        """
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        where = category_filter(categories)
        for _ in range(_ATTEMPTS):  # rows may be removed between counting and searching
            wanted = min(check_k(k, 2**31), self._count(where))
            if wanted > MOST_NEIGHBOURS:
                raise MilvusError(
                    f"Milvus returns at most {MOST_NEIGHBOURS:,} neighbours; asked for were "
                    f"{wanted:,}. Ask for fewer, or use a catalogue with the exact index"
                )
            found = search_batches(
                self._connection, self._name, self.settings, queries_qd, wanted, where
            )
            if found is not None:
                return by_score_then_row(found)
        raise MilvusError(
            f"{self._connection.place} found fewer than {wanted} rows {_ATTEMPTS} times, though "
            f"it counts so many; if rows are not being removed just now, build it again"
        )

    def search_items(
        self, queries: Any, k: int, card: ModelCard, categories: Sequence[str] | None = None
    ) -> list[list[Hit]]:
        """Like `search`, with what is known of each photo; refuses another model's queries.

        Raises:
            ModelCardError: naming each differing field.
        """
        self.card.require_same(card, "the collection", "the query's model")
        found = self.search(queries, k, categories)
        items = self.items(np.unique(found.rows).tolist())
        return [
            [
                Hit(rank, row, items.get(row, NOTHING), score)
                for rank, (row, score) in enumerate(zip(rows, scores, strict=True), start=1)
            ]
            for rows, scores in zip(found.rows.tolist(), found.scores.tolist(), strict=True)
        ]

    def items(self, rows: Sequence[int]) -> dict[int, Item]:
        """What is known of rows, by their numbers; rows that are not there are left out."""
        fields = list(ITEM_FIELDS)
        found = self._query(ROW, check_rows(rows), fields)
        return {record[ROW]: Item(**{name: record[name] for name in fields}) for record in found}

    def rows_of(self, photo_ids: Sequence[str]) -> dict[str, list[int]]:
        """Rows of photos by the dataset's own names; names that are not there are left out."""
        keys = [key(photo_id) for photo_id in photo_ids]
        rows: dict[str, list[int]] = {}
        for record in self._query(PHOTO_KEY, keys, ["photo_id"]):
            rows.setdefault(record["photo_id"], []).append(record[ROW])
        return {name: sorted(rows[name]) for name in photo_ids if name in rows}

    def _query(self, field: str, numbers: Sequence[int], fields: list[str]) -> Iterator[dict]:
        for start in range(0, len(numbers), BATCH_ROWS):
            where = is_one_of(field, numbers[start : start + BATCH_ROWS])
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
