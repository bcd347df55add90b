"""Search over all segments of a catalogue, without removed rows."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int32

from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import (
    Index,
    Neighbours,
    by_score_then_row,
    check_embeddings,
    check_k,
)

_FEWEST_SPARE = 16


@dataclasses.dataclass(frozen=True)
class PartialIndex:
    """An index of some of a catalogue's rows.

    Attributes:
        index: index of these rows.
        numbers: photo number of each row of the index; −1 for removed rows.
    """

    index: Index
    numbers: Int32[np.ndarray, " rows"]


class LiveIndex:
    """Partial indexes behind the protocol of `fashion_jax.retrieval.index.Index`."""

    def __init__(self, indexes: Sequence[PartialIndex], dimensions: int) -> None:
        """See `of_contents` and `of_photos`; `indexes` may be empty."""
        self._indexes = indexes
        self._dimensions = dimensions
        self._live = [int((each.numbers >= 0).sum()) for each in indexes]

    @classmethod
    def of_contents(cls, contents: Contents) -> "LiveIndex":
        """Search ScaNN segments by their own indexes, all others by one exact index."""
        scann = [segment.scann for segment in contents.segments]
        indexes = [
            PartialIndex(index, contents.photo_numbers(number))
            for number, index in enumerate(scann)
            if index is not None
        ]
        exact = [contents.photo_numbers(i) for i, index in enumerate(scann) if index is None]
        photos = np.concatenate([np.empty(0, np.int32), *exact])
        photos = photos[photos >= 0]
        if len(photos) == len(contents) > 0:
            indexes.append(PartialIndex(ExactIndex(contents.embeddings()), photos))
        elif len(photos):
            indexes.append(PartialIndex(ExactIndex(contents.embeddings_of(photos)), photos))
        return cls(indexes, contents.manifest.card.embedding_width)

    @classmethod
    def of_photos(cls, contents: Contents, photos: Int32[np.ndarray, " photos"]) -> "LiveIndex":
        """Search only some photos, whose numbers ascend, exactly."""
        index = PartialIndex(ExactIndex(contents.embeddings_of(photos)), photos)
        return cls([index], contents.manifest.card.embedding_width)

    def __len__(self) -> int:
        """Number of searched photos."""
        return sum(self._live)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._dimensions

    def search(self, queries: Any, k: int) -> Neighbours:
        """Find the k most similar photos; see `fashion_jax.retrieval.index.Index.search`.

        Returns:
            min(k, len(self)) photo numbers for each query, in place of rows.
        """
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        nothing = np.empty((len(queries_qd), 0))
        found = [Neighbours(nothing.astype(np.int32), nothing.astype(np.float32))]
        for index, live in zip(self._indexes, self._live, strict=True):
            if live:
                found.append(_search_live(index, queries_qd, min(k, live), live))
        merged = by_score_then_row(
            Neighbours(
                rows=np.concatenate([each.rows for each in found], axis=1),
                scores=np.concatenate([each.scores for each in found], axis=1),
            )
        )
        return Neighbours(rows=merged.rows[:, :k], scores=merged.scores[:, :k])


def _search_live(
    partial: PartialIndex,
    queries_qd: Float32[np.ndarray, "queries dimensions"],
    wanted: int,
    live: int,
) -> Neighbours:
    """Find the `wanted` best photos; ask for more where removed rows are among the answers."""
    removed = len(partial.numbers) - live
    asked = wanted + min(removed, max(wanted, _FEWEST_SPARE))
    found, short = _live_answers(partial, queries_qd, asked if removed else wanted, wanted)
    while short.any():
        asked = min(2 * asked, wanted + removed)  # always enough once it covers all removed rows
        again, still_short = _live_answers(partial, queries_qd[short], asked, wanted)
        found.rows[short], found.scores[short] = again.rows, again.scores
        short[short] = still_short
    return found


def _live_answers(
    partial: PartialIndex,
    queries_qd: Float32[np.ndarray, "queries dimensions"],
    asked: int,
    wanted: int,
) -> tuple[Neighbours, Bool[np.ndarray, " queries"]]:
    """Return the first `wanted` live answers, and the queries that have fewer."""
    found = partial.index.search(queries_qd, asked)
    numbers = partial.numbers[found.rows]
    first_live = np.argsort(numbers < 0, axis=1, kind="stable")[:, :wanted]
    rows = np.take_along_axis(numbers, first_live, axis=1)
    scores = np.take_along_axis(found.scores, first_live, axis=1)
    return Neighbours(rows=rows, scores=scores), np.any(rows < 0, axis=1)
