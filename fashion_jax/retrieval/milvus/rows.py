"""Rows of a collection: fields, messages of limited size, and safe filters."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from fashion_jax.datasets.records import DOMAIN_NAMES
from fashion_jax.retrieval.catalogue.items import UNKNOWN_PRODUCT, Item
from fashion_jax.retrieval.catalogue.where import Condition, Where, WhereError, parse_where
from fashion_jax.retrieval.milvus.server import MilvusError
from fashion_jax.similar_names import did_you_mean

ROW, EMBEDDING = "row", "embedding"
PHOTO_KEY, PRODUCT_KEY = "photo_key", "product_key"
KEYS = {"photo_id": PHOTO_KEY, "product": PRODUCT_KEY, "category": "category_key"}
"""Names of the hashes of an item's texts, which filters compare."""
ITEM_FIELDS = ("photo_id", "product", "category", "domain")
TEXT_BYTES = 1024
_NOWHERE = "-"
# Stored with embeddings of unknown photos.
UNKNOWN_ITEM = Item("", UNKNOWN_PRODUCT, "", "")

BATCH_ROWS = 4096
# Servers refuse messages of 64 MiB.
_BATCH_BYTES = 8 * 2**20


def messages(
    rows: Sequence[int], embeddings: np.ndarray, items: Sequence[Item]
) -> Iterator[list[dict[str, Any]]]:
    """Divides rows into messages well below the server's limit."""
    widest = 4 * embeddings.shape[1] + len(ITEM_FIELDS) * TEXT_BYTES
    step = max(1, min(BATCH_ROWS, _BATCH_BYTES // widest))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        columns = zip(rows[part], embeddings[part], items[part], strict=True)
        yield [
            {
                ROW: int(row),
                EMBEDDING: embedding,
                **{name: getattr(item, name) for name in ITEM_FIELDS},
                **{stored: key(getattr(item, name)) for name, stored in KEYS.items()},
            }
            for row, embedding, item in columns
        ]


def check_rows(rows: Iterable[int]) -> list[int]:
    """Return row numbers as a list.

    Raises:
        MilvusError: numbers below 0 or above 2³¹ − 1, or repeated ones.
    """
    numbers = [int(row) for row in rows]
    if numbers and not 0 <= min(numbers) <= max(numbers) < 2**31:
        raise MilvusError(
            f"row numbers have to lie between 0 and 2³¹ − 1; got {min(numbers)} to {max(numbers)}"
        )
    if len(set(numbers)) != len(numbers):
        raise MilvusError(f"{len(numbers) - len(set(numbers))} row numbers are repeated")
    return numbers


def to_filter(where: Where) -> str:
    """Return a filter for photos that meet conditions; empty for none.

    Raises:
        WhereError: a condition on something else than `photo_id`, `product`, `category` or
            `domain`, or with an operator that orders.
    """
    return " and ".join(map(_filter, parse_where(where)))


def _filter(condition: Condition) -> str:
    if condition.field not in ITEM_FIELDS:
        raise WhereError(
            f"{condition}: a collection knows no fields of its photos, which an index does, but "
            f"{', '.join(ITEM_FIELDS)}{did_you_mean(condition.field, ITEM_FIELDS)}"
        )
    if condition.operator in ("<", "<=", ">", ">="):
        raise WhereError(f"{condition}: texts have no order; use =, !=, in or not in")
    values = condition.value if isinstance(condition.value, tuple) else (condition.value or "",)
    if condition.field == "domain":
        names = [name for name in DOMAIN_NAMES if name in values] or [_NOWHERE]
        wanted = f"domain in {json.dumps(names)}"
    else:
        wanted = is_one_of(KEYS[condition.field], map(key, map(str, values)))
    return f"not ({wanted})" if condition.operator in ("!=", "not in", "present") else f"({wanted})"


def key(text: str) -> int:
    """Hashes a text to 63 bits, so that filters never contain user input."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def is_one_of(field: str, numbers: Iterable[int]) -> str:
    """Return a filter for rows whose field has one of the numbers."""
    return f"{field} in [{', '.join(str(int(number)) for number in numbers)}]"


def check_texts(items: Sequence[Item]) -> None:
    """Refuses texts that a collection cannot store.

    Raises:
        MilvusError: a text that is too long or not valid Unicode.
    """
    for item in items:
        for name in ITEM_FIELDS:
            text = getattr(item, name)
            try:
                size = len(text.encode())
            except UnicodeEncodeError as error:
                raise MilvusError(f"{name} {text!r} is not valid Unicode; correct it") from error
            if size > TEXT_BYTES:
                raise MilvusError(
                    f"{name} {text[:40]!r}... has {size} bytes; a collection stores at most "
                    f"{TEXT_BYTES}. Shorten it"
                )
