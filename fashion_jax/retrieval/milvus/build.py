"""Building a collection, part by part."""

import contextlib
import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue import Item
from fashion_jax.retrieval.index import EmbeddingError, check_embeddings
from fashion_jax.retrieval.milvus.collection import (
    Description,
    create,
    drop,
    finish,
    left_over,
    resolve,
)
from fashion_jax.retrieval.milvus.rows import NOTHING, batches, check_rows, check_texts
from fashion_jax.retrieval.milvus.server import MilvusConnection, MilvusError, MilvusPlace
from fashion_jax.retrieval.milvus.settings import MilvusSettings


@dataclasses.dataclass(frozen=True)
class Part:
    """Some photos of a gallery that is too large to be in memory at once.

    Attributes:
        embeddings: [photos, dimensions], L2-normalised, any float dtype.
        items: one a photo, or `None` where nothing is known about them.
    """

    embeddings: Any
    items: Sequence[Item] | None = None


def build_collection(
    place: MilvusPlace,
    parts: Iterable[Part],
    card: ModelCard,
    settings: MilvusSettings | None,
) -> tuple[MilvusConnection, str, Description]:
    """Fills a new collection and gives it its name; see `MilvusIndex.build_from`."""
    connection = MilvusConnection(place, create=True)
    try:
        resolve(connection)  # a name that is taken is refused before the work
        if place.local:  # whose one process is this: nobody else can be building
            drop(connection, left_over(connection))
        name = create(connection, card.embedding_width)
        try:
            rows = _fill(connection, name, parts, card.embedding_width)
            chosen = settings or MilvusSettings.for_rows(rows, card.embedding_width, place.local)
            description = Description(card, chosen)
            finish(connection, name, description)
        except BaseException:
            _give_up(connection, name)
            raise
    except BaseException:
        connection.close()
        raise
    return connection, name, description


def _give_up(connection: MilvusConnection, name: str) -> None:
    """Drops what was begun, where that is possible: the error that led here is the one to tell."""
    with contextlib.suppress(MilvusError):
        if resolve(connection) != name:
            drop(connection, [name])


def _fill(connection: MilvusConnection, name: str, parts: Iterable[Part], dimensions: int) -> int:
    rows = 0
    for part in parts:
        what = "gallery embeddings" if rows == 0 else f"gallery embeddings from row {rows} on"
        array = check_embeddings(part.embeddings, what, dimensions)
        items = [NOTHING] * len(array) if part.items is None else part.items
        if len(items) != len(array):
            raise MilvusError(f"there are {len(array)} embeddings but {len(items)} items")
        check_texts(items)
        numbers = check_rows(range(rows, rows + len(array)))
        with connection.errors("insert rows"):
            for batch in batches(numbers, array, items):
                connection.client.insert(name, batch)
        rows += len(array)
    if rows == 0:
        raise EmbeddingError("the gallery is empty: there is nothing to search in")
    return rows
