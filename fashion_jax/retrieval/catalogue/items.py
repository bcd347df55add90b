"""Items of a catalogue: photos and what is known of them."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fashion_jax.datasets.boxes import Box
from fashion_jax.datasets.photo_lists.fields import FieldValue, field_text, plain_value
from fashion_jax.errors import FashionJaxError, named

UNKNOWN_PRODUCT = ""
"""Product of a photo whose product is unknown."""

ITEM_COLUMNS = ("photo_id", "product", "category", "domain")


class CatalogueError(FashionJaxError):
    """Inputs that do not fit together or do not fit the catalogue, or an impossible change."""


class UnknownNameError(CatalogueError):
    """A product or photo that the catalogue does not have."""


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

    def text(self, name: str) -> str:
        """Return an attribute or a field as text; empty if it has no value."""
        if name in ITEM_COLUMNS:
            return getattr(self, name)
        return field_text(self.fields.get(name, ""))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        fields = {name: plain_value(value) for name, value in self.fields.items()}
        return {**{name: getattr(self, name) for name in ITEM_COLUMNS}, "fields": fields}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Origin of an item's photo, with all that is needed to read it again.

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

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {"rank": self.rank, "score": self.score, **self.item.to_json()}


@dataclasses.dataclass(frozen=True)
class Group:
    """One answer to a query by product, or by a field.

    Attributes:
        rank: rank of the answer, from 1.
        by: `product`, or the name of the field that its photos share.
        name: the product, or the field's value; empty for a photo without one, which is a group of
            its own.
        photos: its photos that may be answers, best first, at most `MOST_PHOTOS`; ranked from 1
            within the group.
        count: number of all those photos.
    """

    rank: int
    by: str
    name: str
    photos: Sequence[Hit]
    count: int

    @property
    def score(self) -> float:
        """Cosine similarity of its best photo."""
        return self.photos[0].score

    @property
    def fields(self) -> dict[str, FieldValue]:
        """Fields that all of `photos` share."""
        first, *others = (hit.item.fields for hit in self.photos)
        return {
            name: value
            for name, value in first.items()
            if all(name in fields and fields[name] == value for fields in others)
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`; fields that all photos share are given once."""
        shared = self.fields
        photos = []
        for hit in self.photos:
            photo = hit.to_json()
            own = {name: value for name, value in photo["fields"].items() if name not in shared}
            photos.append({**photo, "fields": own})
        fields = {name: plain_value(value) for name, value in shared.items()}
        name = "product" if self.by == "product" else "group"
        answer = {"rank": self.rank, "score": self.score, name: self.name, "fields": fields}
        return {**answer, "count": self.count, "photos": photos}


def ranked(groups: Iterable[Group]) -> list[Group]:
    """Number groups in the order of their best photos, ties by row."""
    ordered = sorted(groups, key=lambda group: (-group.score, group.photos[0].row))
    return [dataclasses.replace(group, rank=rank) for rank, group in enumerate(ordered, start=1)]


MOST_PHOTOS = 20
"""Most photos of a group that are given with it."""


def named_by_defect(photos: Mapping[str, Sequence[str]]) -> str:
    """Count and name unusable photos by defect for a message."""
    return "; ".join(
        f"{len(names):,} {defect} ({named(names)})" for defect, names in photos.items()
    )
