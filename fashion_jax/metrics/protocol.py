"""Protocols by name: what competes for a query, and which of it counts.

A protocol has a unit and a scope. Units: each photo on its own (`instance`); a product once, at its
best photo (`item`); a product once, by the mean of its photos (`centroid`, Wieczorek et al. 2021,
arXiv:2104.13643). Scopes: the whole gallery, or what has the query's own category (`in_category`,
as the first paper on Street2Shop did). In all of them what is no evidence that the product was
recognised is left out of a query's ranking, and out of its centroids: the very photo that the query
shows, where it is in the gallery as well; and, as ReID does where cameras are known, photos of the
query's product by the query's camera. Products that no query asks for stay in.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int, Shaped

from fashion_jax.errors import FashionJaxError


class ProtocolError(FashionJaxError):
    """A protocol that does not exist, or labels that do not fit together."""


@dataclasses.dataclass(frozen=True)
class Labels:
    """What is known about a split's photos; one value a photo in each column.

    Attributes:
        identity: the product.
        category: its kind, a text.
        camera: the camera, negative where it is not known.
        photo_id: the photo's id, a text or a number, the same in the query and the gallery.
        domain: street or shop, values of `fashion_jax.datasets.records.Domain`.
    """

    identity: Int[np.ndarray, " _"]
    category: Shaped[np.ndarray, " _"]
    camera: Int[np.ndarray, " _"]
    photo_id: Shaped[np.ndarray, " _"]
    domain: Int[np.ndarray, " _"]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if len(lengths) > 1:
            raise ProtocolError(
                f"labels must have one value a photo in each column; found "
                f"{len(self.identity)} identities, {len(self.category)} categories, "
                f"{len(self.camera)} cameras, {len(self.photo_id)} photos and "
                f"{len(self.domain)} domains"
            )

    @classmethod
    def of(cls, split: Any) -> "Labels":
        """The labels of an object with these columns as attributes, such as a dataset's split."""
        return cls(**{field.name: getattr(split, field.name) for field in dataclasses.fields(cls)})

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.identity)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Labels":
        """The labels of some rows."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return Labels(**{name: column[rows] for name, column in columns.items()})


class Pool(NamedTuple):
    """Queries, and the gallery photos that compete for them.

    Attributes:
        queries: rows of the queries.
        gallery: rows of the gallery, rising.
    """

    queries: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " gallery"]


def find_protocol(name: str) -> "Protocol":
    """The protocol of a name from `PROTOCOLS`.

    Raises:
        ProtocolError: if there is no such protocol.
    """
    if name not in PROTOCOLS:
        near = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ProtocolError(f"there is no protocol {name!r}, only {', '.join(PROTOCOLS)}{hint}")
    return PROTOCOLS[name]


def ignored(queries: Labels, query: int, gallery: Labels) -> Bool[np.ndarray, " gallery"]:
    """Gallery photos left out of a query's ranking.

    They are the photo that the query itself shows, whatever product was cut out of it, and photos
    of the query's product by its camera, where that is known.

    Args:
        queries: labels of the queries.
        query: row of the one that is asked for.
        gallery: labels of the gallery.

    Returns:
        True where a photo is left out.
    """
    itself = gallery.photo_id == queries.photo_id[query]
    camera = queries.camera[query]
    if camera < 0:
        return itself
    same_product = gallery.identity == queries.identity[query]
    return itself | (same_product & (gallery.camera == camera))


def with_photo_numbers(queries: Labels, gallery: Labels) -> tuple[Labels, Labels]:
    """The same labels, photo ids replaced by numbers, which compare many times faster than texts.

    Args:
        queries: labels of the queries.
        gallery: labels of the gallery.
    """
    numbers: dict[str | int, int] = {}
    return _with_numbers(queries, numbers), _with_numbers(gallery, numbers)


def _with_numbers(labels: Labels, numbers: dict[str | int, int]) -> Labels:
    photo_id = [numbers.setdefault(each, len(numbers)) for each in labels.photo_id.tolist()]
    return dataclasses.replace(labels, photo_id=np.array(photo_id, dtype=np.int32))


def _whole_gallery(queries: Labels, gallery: Labels) -> Iterator[Pool]:
    yield Pool(np.arange(len(queries)), np.arange(len(gallery)))


def _own_category(queries: Labels, gallery: Labels) -> Iterator[Pool]:
    for category in np.unique(queries.category):
        yield Pool(
            np.flatnonzero(queries.category == category),
            np.flatnonzero(gallery.category == category),
        )


@dataclasses.dataclass(frozen=True)
class Protocol:
    """What a ranking consists of, and what is ranked for a query.

    Attributes:
        unit: `photo`, `item` or `centroid`.
        pools: divides the queries by the part of the gallery that they are searched in; every
            query is in one pool.
        meaning: of the protocol, in one line.
    """

    unit: str
    pools: Callable[[Labels, Labels], Iterator[Pool]]
    meaning: str


PROTOCOLS = {
    "instance": Protocol(
        "photo", _whole_gallery, "each query against the whole gallery, photo by photo"
    ),
    "in_category": Protocol(
        "photo", _own_category, "each query against the gallery photos of its own category"
    ),
    "item": Protocol(
        "item", _whole_gallery, "each query against the whole gallery, a product at its best photo"
    ),
    "in_category_item": Protocol(
        "item", _own_category, "each query against its own category, a product at its best photo"
    ),
    "centroid": Protocol(
        "centroid", _whole_gallery, "each query against the mean embedding of each product"
    ),
    "in_category_centroid": Protocol(
        "centroid", _own_category, "each query against the means of products of its own category"
    ),
}
