"""Builds a collection, batch by batch."""

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.retrieval.index import EmbeddingError, check_embeddings
from fashion_jax.retrieval.milvus.collection import (
    CollectionDescription,
    create,
    drop,
    finish,
    left_over,
    resolve,
)
from fashion_jax.retrieval.milvus.rows import UNKNOWN_ITEM, check_rows, check_texts, messages
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings


@dataclasses.dataclass(frozen=True)
class PhotoBatch:
    """Some photos of a gallery that is too large for the memory.

    Attributes:
        embeddings: [photos, dimensions] embeddings, L2-normalised, any float dtype.
        items: items, one per photo; `None` if unknown.
    """

    embeddings: Any
    items: Sequence[Item] | None = None


def build_collection(
    place: MilvusPlace,
    photos: Iterable[PhotoBatch],
    card: ModelCard,
    settings: MilvusSettings | None,
) -> tuple[MilvusConnection, str, CollectionDescription]:
    """Fill a new collection and give it its name; see `MilvusIndex.build_from`.

    Returns:
        Connection, internal name and description of the collection.
    """
    connection = MilvusConnection(place, create=True)
    try:
        resolve(connection)  # refuses a name that is taken before the work
        if place.local:  # only one process can open the file: no other build is running
            drop(connection, left_over(connection))
        name = create(connection, card.embedding_width)
        try:
            rows = _fill(connection, name, photos, card.embedding_width)
            chosen = settings or MilvusSettings.for_rows(rows, card.embedding_width, place.local)
            description = CollectionDescription(card, chosen)
            finish(connection, name, description)
        except BaseException:
            _discard(connection, name)
            raise
    except BaseException:
        connection.close()
        raise
    return connection, name, description


def _discard(connection: MilvusConnection, name: str) -> None:
    """Drop an unfinished collection; a failure to do so would hide the build's own error."""
    with contextlib.suppress(MilvusError):
        if resolve(connection) != name:
            drop(connection, [name])


def _fill(
    connection: MilvusConnection, name: str, photos: Iterable[PhotoBatch], dimensions: int
) -> int:
    """Insert all rows; return their number."""
    rows = 0
    for batch in photos:
        what = "gallery embeddings" if rows == 0 else f"gallery embeddings from row {rows} on"
        array = check_embeddings(batch.embeddings, what, dimensions)
        items = [UNKNOWN_ITEM] * len(array) if batch.items is None else batch.items
        if len(items) != len(array):
            raise MilvusError(f"found {len(array)} embeddings but {len(items)} items")
        check_texts(items)
        numbers = check_rows(range(rows, rows + len(array)))
        with connection.errors("insert rows"):
            for message in messages(numbers, array, items):
                connection.client.insert(name, message)
        rows += len(array)
    if rows == 0:
        raise EmbeddingError("the gallery is empty; an index needs at least one row")
    return rows
