"""Protocols by name: which gallery photos compete for a query, and which ones count.

`instance` ranks the whole gallery, photo by photo; `in_category` only the photos of the query's
own category, as the first paper on Street2Shop did. In both, what is no evidence that the product
was recognised is left out of a query's ranking: the very photo that the query shows, where it is
in the gallery as well; and, as ReID does where cameras are known, photos of the query's product by
the query's camera.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from typing import NamedTuple

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
        photo: the photo's id, a text or a number, the same in the query and the gallery.
    """

    identity: Int[np.ndarray, " _"]
    category: Shaped[np.ndarray, " _"]
    camera: Int[np.ndarray, " _"]
    photo: Shaped[np.ndarray, " _"]

    def __post_init__(self) -> None:
        lengths = {len(getattr(self, field.name)) for field in dataclasses.fields(self)}
        if len(lengths) > 1:
            raise ProtocolError(
                f"labels must have one value a photo in each column; found "
                f"{len(self.identity)} identities, {len(self.category)} categories, "
                f"{len(self.camera)} cameras and {len(self.photo)} photos"
            )

    def __len__(self) -> int:
        """Number of photos."""
        return len(self.identity)

    def take(self, rows: Int[np.ndarray, " chosen"]) -> "Labels":
        """The labels of some rows."""
        return Labels(self.identity[rows], self.category[rows], self.camera[rows], self.photo[rows])


class Pool(NamedTuple):
    """Queries, and the gallery photos that compete for them.

    Attributes:
        queries: rows of the queries.
        gallery: rows of the gallery, rising.
    """

    queries: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " gallery"]


def pools(protocol: str, queries: Labels, gallery: Labels) -> Iterator[Pool]:
    """Divides the queries by the part of the gallery that they are searched in.

    Args:
        protocol: a name from `PROTOCOLS`.
        queries: labels of the queries.
        gallery: labels of the gallery.

    Returns:
        Pools that hold every query once.

    Raises:
        ProtocolError: if there is no such protocol.
    """
    if protocol not in PROTOCOLS:
        near = difflib.get_close_matches(protocol, PROTOCOLS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ProtocolError(f"there is no protocol {protocol!r}, only {', '.join(PROTOCOLS)}{hint}")
    return PROTOCOLS[protocol](queries, gallery)


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
    itself = gallery.photo == queries.photo[query]
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
    photo = [numbers.setdefault(photo, len(numbers)) for photo in labels.photo.tolist()]
    return dataclasses.replace(labels, photo=np.array(photo, dtype=np.int32))


def _whole_gallery(queries: Labels, gallery: Labels) -> Iterator[Pool]:
    yield Pool(np.arange(len(queries)), np.arange(len(gallery)))


def _own_category(queries: Labels, gallery: Labels) -> Iterator[Pool]:
    for category in np.unique(queries.category):
        yield Pool(
            np.flatnonzero(queries.category == category),
            np.flatnonzero(gallery.category == category),
        )


PROTOCOLS: dict[str, Callable[[Labels, Labels], Iterator[Pool]]] = {
    "instance": _whole_gallery,
    "in_category": _own_category,
}
