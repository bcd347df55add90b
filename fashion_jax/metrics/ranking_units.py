"""Ranking units: the photos, items or centroids that compete for the queries of one pool.

Each unit answers two questions: the scores of all competitors for a block of queries, with −∞ for
what is left out; and which competitors are correct matches.
"""

import abc

import numpy as np
from jaxtyping import Float, Int

from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.protocol import Pool
from fashion_jax.metrics.scores import Scores

Rows = Int[np.ndarray, " rows"]


class RankingUnit(abc.ABC):
    """Competitors for the queries of a pool.

    Positions count within `pool.gallery`, rows within the whole gallery.
    """

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """Group the pool's gallery photos by product and by photo id."""
        self._queries = queries
        self._gallery = gallery.take(pool.gallery)
        self._rows = pool.gallery
        self._scores = scores
        self._by_identity = _Groups(self._gallery.identity)
        photo_id = self._gallery.photo_id
        self._by_photo = None if photo_id is None else _Groups(photo_id)

    @abc.abstractmethod
    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """Scores of all competitors; ties are ranked by column."""

    @abc.abstractmethod
    def relevant(self, query: int) -> Rows:
        """Columns in `block` of the correct matches; empty if the query has none."""

    def same_product(self, query: int) -> Rows:
        """Positions of the photos of the query's product."""
        return self._by_identity.members(self._queries.identity[query])

    def same_photo(self, query: int) -> Rows:
        """Positions of the query's own photo; empty without photo ids."""
        if self._by_photo is None or self._queries.photo_id is None:
            return np.empty(0, dtype=np.int64)
        return self._by_photo.members(self._queries.photo_id[query])

    def left_out(self, query: int) -> Rows:
        """Positions where `protocol.ignored` is true, found without a pass over the gallery."""
        same_photo = self.same_photo(query)
        if self._queries.camera is None or self._gallery.camera is None:
            return same_photo
        camera = self._queries.camera[query]
        if camera < 0:
            return same_photo
        product = self.same_product(query)
        return np.union1d(same_photo, product[self._gallery.camera[product] == camera])

    def kept(self, query: int) -> Rows:
        """Positions of the photos of the query's product that are not left out."""
        return np.setdiff1d(self.same_product(query), self.left_out(query), assume_unique=True)


class InstanceUnit(RankingUnit):
    """Each photo competes on its own."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `RankingUnit`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.against(pool.gallery)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """One column per photo, in the gallery's order."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            line[self.left_out(query)] = -np.inf
        return scores

    def relevant(self, query: int) -> Rows:
        """Photos of the query's product."""
        return self.kept(query)


class _ProductUnit(RankingUnit):
    """Products compete, in the order of their first photos."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `RankingUnit`."""
        super().__init__(pool, queries, gallery, scores)
        self._item = _numbered_by_first_row(self._gallery.identity)
        self._order = np.argsort(self._item, kind="stable")
        self._starts = np.flatnonzero(np.diff(self._item[self._order], prepend=-1))
        self._ends = np.append(self._starts[1:], len(self._order))

    def relevant(self, query: int) -> Rows:
        """The query's product, if any of its photos is kept."""
        return self._item[self.kept(query)[:1]]


class ItemUnit(_ProductUnit):
    """Each product competes at its best photo."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `RankingUnit`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.against(pool.gallery[self._order])
        self._column = np.argsort(self._order)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """One column per product: the highest score of its photos."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            line[self._column[self.left_out(query)]] = -np.inf
        if len(self._starts) == 0:
            return scores
        return np.maximum.reduceat(scores, self._starts, axis=1)


class CentroidUnit(_ProductUnit):
    """Each product competes by the normalised mean of its photos, without those left out."""

    def __init__(self, pool: Pool, queries: Labels, gallery: Labels, scores: Scores) -> None:
        """See `RankingUnit`."""
        super().__init__(pool, queries, gallery, scores)
        self._block = scores.centroids(pool.gallery[self._order], self._starts)

    def block(self, queries: Rows) -> Float[np.ndarray, "queries competitors"]:
        """One column per product."""
        scores = self._block(queries)
        for line, query in zip(scores, queries.tolist(), strict=True):
            self._rescore(line, query)
        return scores

    def _rescore(self, line: np.ndarray, query: int) -> None:
        """Scores products again that lose photos for this query."""
        left_out = self.left_out(query)
        for item in np.unique(self._item[left_out]).tolist():
            photos = self._order[self._starts[item] : self._ends[item]]
            kept = np.setdiff1d(photos, left_out, assume_unique=True)
            line[item] = self._scores.centroid(query, self._rows[kept]) if len(kept) else -np.inf


RANKING_UNITS: dict[str, type[RankingUnit]] = {
    "instance": InstanceUnit,
    "item": ItemUnit,
    "centroid": CentroidUnit,
}


class _Groups:
    """Positions of each value of a column."""

    def __init__(self, values: np.ndarray) -> None:
        self._order = np.argsort(values, kind="stable")
        self._sorted = values[self._order]

    def members(self, value: np.generic) -> Rows:
        """Positions of one value, ascending."""
        low = np.searchsorted(self._sorted, value, side="left")
        high = np.searchsorted(self._sorted, value, side="right")
        return self._order[low:high]


def _numbered_by_first_row(identity: Int[np.ndarray, " rows"]) -> Int[np.ndarray, " rows"]:
    """Numbers identities in the order of their first rows."""
    _, first, inverse = np.unique(identity, return_index=True, return_inverse=True)
    number = np.empty(len(first), dtype=np.int64)
    number[np.argsort(first)] = np.arange(len(first))
    return number[inverse]
