"""One search over all segments of a catalogue, in which removed rows never appear."""

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
class Part:
    """An index of some of a catalogue's rows.

    Attributes:
        index: answers with rows of its own.
        numbers: of each of them, the photo's number in the catalogue; −1: removed.
    """

    index: Index
    numbers: Int32[np.ndarray, " rows"]


class LiveIndex:
    """Parts behind the protocol of `fashion_jax.retrieval.index.Index`; possibly none."""

    def __init__(self, parts: Sequence[Part], dimensions: int) -> None:
        """See `of_contents` and `of_photos`."""
        self._parts = parts
        self._dimensions = dimensions
        self._live = [int((part.numbers >= 0).sum()) for part in parts]

    @classmethod
    def of_contents(cls, contents: Contents) -> "LiveIndex":
        """ScaNN's segments each with its own index, all others together in one exact index."""
        indexes = [segment.scann for segment in contents.segments]
        parts = [
            Part(index, contents.numbers(number))
            for number, index in enumerate(indexes)
            if index is not None
        ]
        exact = [contents.numbers(i) for i, index in enumerate(indexes) if index is None]
        photos = np.concatenate([np.empty(0, np.int32), *exact])
        photos = photos[photos >= 0]
        if len(photos) == len(contents) > 0:
            parts.append(Part(ExactIndex(contents.embeddings()), photos))
        elif len(photos):
            parts.append(Part(ExactIndex(contents.embeddings_of(photos)), photos))
        return cls(parts, contents.manifest.card.embedding_width)

    @classmethod
    def of_photos(cls, contents: Contents, photos: Int32[np.ndarray, " photos"]) -> "LiveIndex":
        """Exact search among some photos only, whose numbers ascend."""
        part = Part(ExactIndex(contents.embeddings_of(photos)), photos)
        return cls([part], contents.manifest.card.embedding_width)

    def __len__(self) -> int:
        """Photos that can be found."""
        return sum(self._live)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._dimensions

    def search(self, queries: Any, k: int) -> Neighbours:
        """Finds the k most similar photos; see `fashion_jax.retrieval.index.Index.search`.

        Returns:
            Numbers of photos in place of rows; min(k, len(self)) for each query.
        """
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        nothing = np.empty((len(queries_qd), 0))
        found = [Neighbours(nothing.astype(np.int32), nothing.astype(np.float32))]
        for part, live in zip(self._parts, self._live, strict=True):
            if live:
                found.append(_search_part(part, queries_qd, min(k, live), live))
        merged = by_score_then_row(
            Neighbours(
                rows=np.concatenate([each.rows for each in found], axis=1),
                scores=np.concatenate([each.scores for each in found], axis=1),
            )
        )
        return Neighbours(rows=merged.rows[:, :k], scores=merged.scores[:, :k])


def _search_part(
    part: Part, queries_qd: Float32[np.ndarray, "queries dimensions"], wanted: int, live: int
) -> Neighbours:
    """The `wanted` best photos of a part; more are asked for where removed rows take places."""
    removed = len(part.numbers) - live
    asked = wanted + min(removed, max(wanted, _FEWEST_SPARE))
    found, short = _live_answers(part, queries_qd, asked if removed else wanted, wanted)
    while short.any():
        asked = min(2 * asked, wanted + removed)  # with all removed rows, enough are left for sure
        again, still_short = _live_answers(part, queries_qd[short], asked, wanted)
        found.rows[short], found.scores[short] = again.rows, again.scores
        short[short] = still_short
    return found


def _live_answers(
    part: Part, queries_qd: Float32[np.ndarray, "queries dimensions"], asked: int, wanted: int
) -> tuple[Neighbours, Bool[np.ndarray, " queries"]]:
    """The first `wanted` answers that are not removed, and for which queries there are fewer."""
    found = part.index.search(queries_qd, asked)
    numbers = part.numbers[found.rows]
    first_live = np.argsort(numbers < 0, axis=1, kind="stable")[:, :wanted]
    rows = np.take_along_axis(numbers, first_live, axis=1)
    scores = np.take_along_axis(found.scores, first_live, axis=1)
    return Neighbours(rows=rows, scores=scores), np.any(rows < 0, axis=1)
