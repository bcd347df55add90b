"""Rows of a collection: their fields, batches that fit into messages, and safe filters."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fashion_jax.retrieval.catalogue import Item
from fashion_jax.retrieval.milvus.server import MilvusError

ROW, EMBEDDING, CATEGORY_KEY, PHOTO_KEY = "row", "embedding", "category_key", "photo_key"
ITEM_FIELDS = ("photo_id", "identity", "category", "domain")
TEXT_BYTES = 1024
# Of a row about which only its embedding is known.
NOTHING = Item("", -1, "", "")

BATCH_ROWS = 4096
# Servers refuse messages of 64 MiB.
_BATCH_BYTES = 8 * 2**20


def batches(
    rows: Sequence[int], embeddings: np.ndarray, items: Sequence[Item]
) -> Iterator[list[dict[str, Any]]]:
    """Batches well below the size of a message."""
    widest = 4 * embeddings.shape[1] + 3 * TEXT_BYTES
    step = max(1, min(BATCH_ROWS, _BATCH_BYTES // widest))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        yield records(rows[part], embeddings[part], items[part])


def check_rows(rows: Iterable[int]) -> list[int]:
    """Returns row numbers as a list.

    Raises:
        MilvusError: if they are not between 0 and 2³¹ − 1, or not each once.
    """
    numbers = [int(row) for row in rows]
    if numbers and not 0 <= min(numbers) <= max(numbers) < 2**31:
        raise MilvusError(
            f"row numbers lie between 0 and 2³¹ − 1; got {min(numbers)} to {max(numbers)}"
        )
    if len(set(numbers)) != len(numbers):
        raise MilvusError(f"{len(numbers) - len(set(numbers))} row numbers are given twice")
    return numbers


def category_filter(categories: Sequence[str] | None) -> str:
    """A filter for photos of some categories; an empty one for `None`.

    Raises:
        MilvusError: if there is no category in the list, or it is a text.
    """
    if categories is None:
        return ""
    if isinstance(categories, str) or not categories:
        raise MilvusError(f"categories have to be a list with at least one; got {categories!r}")
    return is_one_of(CATEGORY_KEY, map(key, categories))


def records(
    rows: Sequence[int], embeddings: np.ndarray, items: Sequence[Item]
) -> list[dict[str, Any]]:
    """Rows as Milvus takes them."""
    return [
        {
            ROW: int(row),
            EMBEDDING: embedding,
            **dataclasses.asdict(item),
            CATEGORY_KEY: key(item.category),
            PHOTO_KEY: key(item.photo_id),
        }
        for row, embedding, item in zip(rows, embeddings, items, strict=True)
    ]


def key(text: str) -> int:
    """A text as a number of 63 bits, so that no filter ever contains what somebody has typed."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def is_one_of(field: str, numbers: Iterable[int]) -> str:
    """A filter for rows whose field has one of the numbers."""
    return f"{field} in [{', '.join(str(int(number)) for number in numbers)}]"


def check_texts(items: Sequence[Item]) -> None:
    """Refuses names that a collection cannot hold.

    Raises:
        MilvusError: with the first of them.
    """
    for item in items:
        for name in ("photo_id", "category", "domain"):
            text = getattr(item, name)
            try:
                size = len(text.encode())
            except UnicodeEncodeError as error:
                raise MilvusError(f"{name} {text!r} is not valid Unicode; correct it") from error
            if size > TEXT_BYTES:
                raise MilvusError(
                    f"{name} {text[:40]!r}... has {size} bytes; a collection holds {TEXT_BYTES}. "
                    f"Give it a shorter name"
                )
