"""Photos as a catalogue knows them, and answers of a search."""

import dataclasses
from collections.abc import Mapping, Sequence

from fashion_jax.errors import named

UNKNOWN_PRODUCT = ""
"""Product of a photo whose product is unknown."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One photo of a catalogue.

    Attributes:
        photo_id: name of the photo in its dataset. A photo of several garments has one item for
            each, all with the same name.
        product: name or number of the product, as text, or `UNKNOWN_PRODUCT`.
        category: category of the garment.
        domain: `street` or `shop`.
    """

    photo_id: str
    product: str
    category: str
    domain: str


@dataclasses.dataclass(frozen=True)
class Hit:
    """One answer to a query.

    Attributes:
        rank: rank of the answer, from 1.
        row: row of the photo in the catalogue's `items` and `embeddings`.
        item: the catalogue's item in that row.
        score: cosine similarity to the query; higher is better.
    """

    rank: int
    row: int
    item: Item
    score: float


def named_by_defect(photos: Mapping[str, Sequence[str]]) -> str:
    """Count and name unusable photos by defect for a message."""
    return "; ".join(
        f"{len(names):,} {defect} ({named(names)})" for defect, names in photos.items()
    )
