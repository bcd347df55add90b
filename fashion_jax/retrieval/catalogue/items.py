"""Items of a catalogue: photos and what is known of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.photo_lists.fields import FieldValue, plain_value
from fashion_jax.errors import FashionJaxError, named

UNKNOWN_PRODUCT = ""
"""Product of a photo whose product is unknown."""

ITEM_COLUMNS = ("photo_id", "product", "category", "domain")


class CatalogueError(FashionJaxError):
    """Inputs that do not fit together or do not fit the catalogue, or an impossible change."""


@dataclasses.dataclass(frozen=True)
class Item:
    """One photo of a catalogue.

    Attributes:
        photo_id: name of the photo in its dataset. A photo of several garments has one item for
            each, all with the same name.
        product: name or number of the product, as text, or `UNKNOWN_PRODUCT`.
        category: category of the garment.
        domain: `street` or `shop`.
        fields: what else is known of it, by name; see
            `fashion_jax.datasets.photo_lists.fields`.
    """

    photo_id: str
    product: str
    category: str
    domain: str
    fields: Mapping[str, FieldValue] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        fields = {name: plain_value(value) for name, value in self.fields.items()}
        return {**{name: getattr(self, name) for name in ITEM_COLUMNS}, "fields": fields}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where the photo of an item comes from, so that it can be read again.

    Attributes:
        source: absolute path or address of the file, or `dataset:` followed by the built dataset,
            its split and the photo's row; empty if unknown.
        box: box around the garment; `None` for the whole photo.
        box_unit: unit of the box; one of `fashion_jax.datasets.boxes.UNITS`.
        sha256: SHA-256 of the file, if known.
        size: size of the file in bytes, if known.
        mtime_ns: time of the file's last change in nanoseconds, if known.
    """

    source: str = ""
    box: Box | None = None
    box_unit: str = "pixels"
    sha256: str | None = None
    size: int | None = None
    mtime_ns: int | None = None


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
