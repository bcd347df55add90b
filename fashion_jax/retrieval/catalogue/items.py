"""What a catalogue knows about its photos."""

import dataclasses
import pathlib
from collections.abc import Sequence

import msgspec

UNKNOWN_PRODUCT = -1
"""The identity of a photo whose product nobody has named."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One photo of a catalogue.

    Attributes:
        photo_id: the raw dataset's own name of the photo. A photo of several garments is there
            once for each, under the same name.
        identity: the product, or `UNKNOWN_PRODUCT`.
        category: its kind.
        domain: `street` or `shop`.
    """

    photo_id: str
    identity: int
    category: str
    domain: str


@dataclasses.dataclass(frozen=True)
class Hit:
    """One answer to a query.

    Attributes:
        rank: from 1.
        row: of the photo among the catalogue's `items` and `embeddings`.
        item: what the catalogue knows about it.
        score: cosine similarity to the query; higher is better.
    """

    rank: int
    row: int
    item: Item
    score: float


def write_items(path: pathlib.Path, items: Sequence[Item]) -> None:
    """Writes one JSON object a line."""
    with path.open("w", encoding="utf-8") as file:
        for item in items:
            file.write(msgspec.json.encode(item).decode() + "\n")


def read_items(path: pathlib.Path) -> list[Item]:
    """The inverse of `write_items`."""
    with path.open(encoding="utf-8", newline="\n") as file:
        return [msgspec.json.decode(line, type=Item) for line in file]


def named(names: Sequence[object], most: int = 10) -> str:
    """The first of many names, for a message."""
    shown = ", ".join(map(str, names[:most]))
    return f"{shown}, ... and {len(names) - most:,} more" if len(names) > most else shown
