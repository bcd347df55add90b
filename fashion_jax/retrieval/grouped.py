"""Answers by group: k different products, or other groups of rows, for each query."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from fashion_jax.retrieval.index import Neighbours, check_k

Rows = Int64[np.ndarray, " some"]

_PHOTOS_A_GROUP = 4
_DEEPER = 4


@dataclasses.dataclass(frozen=True)
class Groups:
    """A group for each row, as numbers.

    Attributes:
        codes: number of each row's group, from 0.
    """

    codes: Int64[np.ndarray, " rows"]

    def __post_init__(self) -> None:
        order = np.argsort(self.codes, kind="stable")
        object.__setattr__(self, "_order", order)
        object.__setattr__(self, "_sorted", self.codes[order])

    _order: Int64[np.ndarray, " rows"] = dataclasses.field(init=False, repr=False)
    _sorted: Int64[np.ndarray, " rows"] = dataclasses.field(init=False, repr=False)

    def count(self, allowed: Bool[np.ndarray, " rows"]) -> int:
        """Number of groups that the allowed rows belong to."""
        there = np.zeros(self.codes.max(initial=-1) + 1, bool)
        there[self.codes[allowed]] = True
        return int(there.sum())

    def rows_of(self, code: int) -> Int64[np.ndarray, " some"]:
        """Return the rows of a group, ascending."""
        first, last = np.searchsorted(self._sorted, [code, code + 1])
        return self._order[first:last]


def nearest_groups(
    search: Callable[[Any, int], Neighbours],
    queries: Any,
    k: int,
    group_of: Callable[[Rows], Rows],
    deepest: int,
    count: int | None = None,
) -> list[Int64[np.ndarray, " groups"]]:
    """Find the k groups with the most similar rows, as deep in the index as it takes.

    Args:
        search: search in an index of the rows, such as `Index.search`.
        queries: [queries, dimensions] embeddings, L2-normalised.
        k: number of groups.
        group_of: function that returns the numbers of the groups of some rows.
        deepest: largest number of neighbours to ask for.
        count: number of groups that can be found, if known.

    Returns:
        Numbers of at most k groups for each query, in the order of their best rows; fewer only
        if the deepest search holds fewer.
    """
    queries_qd = np.asarray(queries)
    wanted = check_k(k, deepest if count is None else count)
    answers = [np.empty(0, np.int64)] * len(queries_qd)
    unanswered, depth = np.arange(len(queries_qd)), _PHOTOS_A_GROUP * wanted
    while wanted and len(unanswered):
        depth = min(depth, deepest)
        found = search(queries_qd[unanswered], depth).rows
        groups = group_of(found.ravel().astype(np.int64)).reshape(found.shape)
        for query, numbers in zip(unanswered, groups, strict=True):
            _, first = np.unique(numbers, return_index=True)
            answers[query] = numbers[np.sort(first)][:wanted]
        if depth == deepest:
            break
        unanswered = unanswered[[len(answers[query]) < wanted for query in unanswered]]
        depth *= _DEEPER
    return answers
