"""Search among some rows of an index: exact where they are few, over-fetching where they are many.

Over-fetching asks the index for more neighbours and drops those that are not allowed. It works as
long as allowed rows are found on the way; a query whose surroundings are not allowed is searched
exactly.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Int64

from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import Index, Neighbours, check_embeddings, check_k

EXACT_UP_TO = 20_000
"""So many rows are compared exactly; benchmarks/filtered_search.py times both ways."""

# Asked for at once, whatever they are: all rows that are not allowed.
_FEW_REMOVED = 256
_MARGIN = 1.5
_SPARE = 16
_DEEPER = 8


class FilteredIndex:
    """An index of the allowed rows of another one, under the same row numbers."""

    def __init__(
        self,
        index: Index,
        allowed: Bool[np.ndarray, " numbers"],
        embeddings_of: Callable[
            [Int64[np.ndarray, " rows"]], Float32[np.ndarray, "rows dimensions"]
        ],
        exact_up_to: int = EXACT_UP_TO,
    ) -> None:
        """Restrict an index to some of its rows.

        Args:
            index: the index; none of its row numbers is beyond `allowed`.
            allowed: whether a row may be found; false for numbers that the index does not have.
            embeddings_of: function that returns the embeddings of rows, whose numbers ascend.
            exact_up_to: number of allowed rows up to which they are compared exactly.
        """
        self._index = index
        self.allowed = allowed
        self._embeddings_of = embeddings_of
        self._exact_up_to = exact_up_to
        self.rows = np.flatnonzero(allowed)
        """Numbers of the allowed rows."""

    def __len__(self) -> int:
        """Number of allowed rows."""
        return len(self.rows)

    @property
    def dimensions(self) -> int:
        """Length of an embedding."""
        return self._index.dimensions

    @property
    def is_exact(self) -> bool:
        """Whether the allowed rows are few enough to compare all of them."""
        return len(self) <= self._exact_up_to and self._removed > _FEW_REMOVED

    @property
    def _removed(self) -> int:
        return len(self._index) - len(self)

    def search(self, queries: Any, k: int) -> Neighbours:
        """Find the k most similar allowed rows; see `fashion_jax.retrieval.index.Index.search`."""
        queries_qd = check_embeddings(queries, "queries", self.dimensions)
        k = check_k(k, len(self))
        if k == 0 or len(queries_qd) == 0:
            nothing = np.empty((len(queries_qd), k))
            return Neighbours(nothing.astype(np.int32), nothing.astype(np.float32))
        if self.is_exact:
            return self._search_exactly(queries_qd, k)
        if self._removed <= _FEW_REMOVED:
            return self._first_allowed(queries_qd, k + self._removed, k)[0]
        asked = math.ceil(_MARGIN * k * len(self._index) / len(self)) + _SPARE
        found, short = self._first_allowed(queries_qd, asked, k)
        if short.any():
            deeper, still = self._first_allowed(queries_qd[short], _DEEPER * asked, k)
            if still.any():
                exact = self._search_exactly(queries_qd[short][still], k)
                deeper.rows[still], deeper.scores[still] = exact.rows, exact.scores
            found.rows[short], found.scores[short] = deeper.rows, deeper.scores
        return found

    def _first_allowed(
        self, queries_qd: Float32[np.ndarray, "queries dimensions"], asked: int, k: int
    ) -> tuple[Neighbours, Bool[np.ndarray, " queries"]]:
        """Return the first k allowed ones of `asked` neighbours, and the queries with fewer."""
        found = self._index.search(queries_qd, min(asked, len(self._index)))
        right = self.allowed[found.rows]
        first = np.argsort(~right, axis=1, kind="stable")[:, :k]
        rows = np.take_along_axis(found.rows, first, axis=1)
        scores = np.take_along_axis(found.scores, first, axis=1)
        return Neighbours(rows, scores), right.sum(axis=1) < k

    def _search_exactly(
        self, queries_qd: Float32[np.ndarray, "queries dimensions"], k: int
    ) -> Neighbours:
        found = self._exact.search(queries_qd, k)
        return Neighbours(self.rows[found.rows].astype(np.int32), found.scores)

    @functools.cached_property
    def _exact(self) -> ExactIndex:
        return ExactIndex(self._embeddings_of(self.rows))
