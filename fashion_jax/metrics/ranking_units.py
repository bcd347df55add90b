"""What competes for the queries of one pool: photos, items, or the centroids of items.

Each kind answers the same two questions: the scores of all that competes for a block of queries,
what is left out at −∞; and which of it is the right answer.
"""

import abc

import numpy as np
from jaxtyping import Float, Int

from fashion_jax.metrics.protocol import Labels, Pool
from fashion_jax.metrics.scores import Scores

Rows = Int[np.ndarray, " rows"]


class Competition(abc.ABC):
    """The part of a gallery that the queries of a pool are searched in."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """Positions below are those in `pool.gallery`, rows those of the whole gallery."""
        self._queries = queries
        self._gallery = gallery.take(pool.gallery)
        self._rows = pool.gallery
        self._scores = scores
        self._of_identity = _Groups(self._gallery.identity)
        self._of_photo = _Groups(self._gallery.photo_id)

    @abc.abstractmethod
    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """Scores, in the order in which equals are ranked."""

    @abc.abstractmethod
    def right(self, query: int) -> Rows:
        """The right answers' columns in `block`; none where the query has nothing to find."""

    def product(self, query: int) -> Rows:
        """Positions of the photos of the query's product."""
        return self._of_identity.members(self._queries.identity[query])

    def itself(self, query: int) -> Rows:
        """Positions of the very photo that the query shows."""
        return self._of_photo.members(self._queries.photo_id[query])

    def left_out(self, query: int) -> Rows:
        """Positions of `protocol.ignored`, found without looking at the whole gallery."""
        itself, camera = self.itself(query), self._queries.camera[query]
        if camera < 0:
            return itself
        product = self.product(query)
        return np.union1d(itself, product[self._gallery.camera[product] == camera])

    def kept(self, query: int) -> Rows:
        """Positions of the photos of the query's product that count."""
        return np.setdiff1d(self.product(query), self.left_out(query), assume_unique=True)


class Photos(Competition):
    """Each photo competes on its own."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `Competition`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.against(pool.gallery)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """A column a photo, in the gallery's order."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            line[self.left_out(query)] = -np.inf
        return scores

    def right(self, query: int) -> Rows:
        """Photos of the product."""
        return self.kept(query)


class _OfItems(Competition):
    """Products compete; they stand in the order of their first photos."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `Competition`."""
        super().__init__(pool, queries, gallery, scores)
        self._item = _numbered_by_first_row(self._gallery.identity)
        self._order = np.argsort(self._item, kind="stable")
        self._starts = np.flatnonzero(np.diff(self._item[self._order], prepend=-1))
        self._ends = np.append(self._starts[1:], len(self._order))

    def right(self, query: int) -> Rows:
        """The product, if any photo of it is left."""
        return self._item[self.kept(query)[:1]]


class Items(_OfItems):
    """A product competes at its best photo."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `Competition`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.against(pool.gallery[self._order])
        self._column = np.argsort(self._order)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """A column a product: the largest of its photos' scores."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            line[self._column[self.left_out(query)]] = -np.inf
        if len(self._starts) == 0:
            return scores
        return np.maximum.reduceat(scores, self._starts, axis=1)


class Centroids(_OfItems):
    """A product competes by the normalised mean of its photos, those left out not in it."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `Competition`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.centroids(pool.gallery[self._order], self._starts)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """A column a product."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            self._without_left_out(line, query)
        return scores

    def _without_left_out(self, line: np.ndarray, query: int) -> None:
        """Scores anew the products that lose photos for this query."""
        left_out = self.left_out(query)
        for item in np.unique(self._item[left_out]).tolist():
            photos = self._order[self._starts[item] : self._ends[item]]
            kept = np.setdiff1d(photos, left_out, assume_unique=True)
            line[item] = self._scores.centroid(query, self._rows[kept]) if len(kept) else -np.inf


COMPETITIONS: dict[str, type[Competition]] = {
    "photo": Photos,
    "item": Items,
    "centroid": Centroids,
}


class _Groups:
    """Positions of each value of a column."""

    def __init__(self, values: np.ndarray) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def members(self, value: np.generic) -> Rows:
        """Rising."""
        low = np.searchsorted(self._sorted, value, side="left")
        high = np.searchsorted(self._sorted, value, side="right")
        return self._order[low:high]


def _numbered_by_first_row(identity: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """0 for the identity of the first row, 1 for the next one that is another, ..."""
    _, first, inverse = np.unique(identity, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]
