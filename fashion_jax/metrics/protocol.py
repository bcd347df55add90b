"""Protocols by name: what competes for a query, and which part of the gallery it competes in.

A protocol has a unit and a scope. Units: each photo on its own (`instance`); each product at its
best photo (`item`); each product by the mean of its photos (`centroid`, Wieczorek et al. 2021,
arXiv:2104.13643). Scopes: the whole gallery, or the query's own category (`in_category`, as in
Kiapour et al. 2015, who introduced Street2Shop).

Every protocol leaves out of a query's ranking, and out of its centroids, what does not show that
the product was recognised: the query's own photo, where photo ids are known, and photos of the
query's product by the query's camera, where cameras are known (the ReID convention). Products
that no query asks for stay in as distractors.
"""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from fashion_jax.metrics.labels import Labels, MetricsError
from fashion_jax.similar_names import did_you_mean


class Pool(NamedTuple):
    """Queries, and the gallery photos that compete for them.

    Attributes:
        queries: rows of the queries.
        gallery: rows of the gallery, ascending.
    """

    queries: Int[np.ndarray, " queries"]
    gallery: Int[np.ndarray, " gallery"]


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Unit and scope of a ranking.

    Attributes:
        name: prefix of its metrics, such as `instance` in `instance/mAP`.
        unit: competing unit: `instance`, `item` or `centroid`.
        in_category: whether a query competes in its own category only.
        meaning: description in one line.
    """

    name: str
    unit: str
    in_category: bool
    meaning: str

    def pools(self, queries: Labels, gallery: Labels) -> Iterator[Pool]:
        """Divides queries and gallery; every query is in exactly one pool.

        Raises:
            MetricsError: if the protocol needs categories and labels lack them.
        """
        if not self.in_category:
            yield Pool(np.arange(len(queries)), np.arange(len(gallery)))
            return
        if queries.category is None or gallery.category is None:
            side = "queries" if queries.category is None else "gallery"
            raise MetricsError(
                f"protocol {self.name} needs the category of each photo, and the {side} come "
                f"without; give the categories of queries and gallery, or use another protocol"
            )
        for category in np.unique(queries.category):
            yield Pool(
                np.flatnonzero(queries.category == category),
                np.flatnonzero(gallery.category == category),
            )


_ALL = (
    Protocol("instance", "instance", False, "each query against the whole gallery, by photo"),
    Protocol(
        "in_category",
        "instance",
        True,
        "each query against the gallery photos of its own category",
    ),
    Protocol(
        "item",
        "item",
        False,
        "each query against the whole gallery, each product at its best photo",
    ),
    Protocol(
        "in_category_item",
        "item",
        True,
        "each query against its own category, each product at its best photo",
    ),
    Protocol(
        "centroid",
        "centroid",
        False,
        "each query against the mean embedding of each product",
    ),
    Protocol(
        "in_category_centroid",
        "centroid",
        True,
        "each query against the mean embedding of each product of its own category",
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def find_protocol(name: str) -> Protocol:
    """Return the protocol of a name from `PROTOCOLS`.

    Raises:
        MetricsError: if the name is unknown; lists the known ones.
    """
    if name not in PROTOCOLS:
        hint = did_you_mean(name, PROTOCOLS)
        raise MetricsError(f"unknown protocol {name!r}; choose from {', '.join(PROTOCOLS)}{hint}")
    return PROTOCOLS[name]


def ignored(queries: Labels, query: int, gallery: Labels) -> Bool[np.ndarray, " gallery"]:
    """Find the gallery photos that are left out of a query's ranking.

    They are the query's own photo, whatever product is on it, and photos of the query's product by
    the query's camera. Without photo ids or cameras the respective rule does not apply.

    Args:
        queries: labels of the queries.
        query: row of the query.
        gallery: labels of the gallery.

    Returns:
        True where a gallery photo is left out.
    """
    left_out = np.zeros(len(gallery), dtype=bool)
    if queries.photo_id is not None and gallery.photo_id is not None:
        left_out |= gallery.photo_id == queries.photo_id[query]
    if queries.camera is not None and gallery.camera is not None and queries.camera[query] >= 0:
        same_product = gallery.identity == queries.identity[query]
        left_out |= same_product & (gallery.camera == queries.camera[query])
    return left_out
