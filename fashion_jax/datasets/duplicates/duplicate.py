"""A pair of photos that are the same or nearly the same."""

import dataclasses
from typing import Any

import msgspec

from fashion_jax.datasets.duplicates.words import KINDS


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo of a pair.

    Attributes:
        photo_id: id of the photo.
        products: products on it; empty if unknown.
        split: split of the dataset; empty in an index.
    """

    photo_id: str
    products: tuple[str, ...]
    split: str


@dataclasses.dataclass(frozen=True)
class Duplicate:
    """Two photos that are the same or nearly the same.

    Attributes:
        kind: one of `KINDS`.
        first: the photo that comes first in the dataset or index.
        second: the other photo.
        hash_distance: number of bits of 64 that differ between the perceptual hashes.
        colour_difference: largest difference between cells of the colour grids (CIE 1976 ΔE).
        cosine: cosine similarity of the embeddings, if there are any.
        decision: `same` if that was decided, else `None`.
        rows: rows of the two photos among all photos that were compared.
    """

    kind: str
    first: Photo
    second: Photo
    hash_distance: int
    colour_difference: float
    cosine: float | None
    decision: str | None
    rows: tuple[int, int]

    @property
    def is_leak(self) -> bool:
        """Whether the photos are in two splits."""
        return self.first.split != self.second.split

    @property
    def of_two_products(self) -> bool:
        """Whether the photos are known to have no product in common."""
        one, other = set(self.first.products), set(self.second.products)
        return bool(one and other and not one & other)

    @property
    def worst_first(self) -> tuple[Any, ...]:
        """Sorts pairs: leaks, then two products, then the surest."""
        return (
            not self.is_leak,
            not self.of_two_products,
            KINDS.index(self.kind),
            self.hash_distance,
            round(self.colour_difference, 1),
            self.rows,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        plain = msgspec.to_builtins(self)
        plain.pop("rows")
        return {**plain, "colour_difference": round(self.colour_difference, 2)}
