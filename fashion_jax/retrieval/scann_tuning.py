"""How thoroughly ScaNN has to search: recall and speed over a grid of search settings.

An index is not rebuilt for it: candidates and partitions to look at are chosen at every search.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated

import msgspec
import numpy as np
from jaxtyping import Float32, Int64
from tabulate import tabulate

from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.retrieval.index import Index, Neighbours
from fashion_jax.retrieval.scann_index import ScannIndex

# Candidates, as multiples of k, and partitions, as shares of all.
_CANDIDATES = (5, 10, 15, 30, 60, 120)
_SHARES_OF_LEAVES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
# Photos that are there twice are equally good answers; indexes round differently.
_EQUALLY_NEAR = 1e-5
_AS_GOOD_AS_EXACT = 0.9995
_TIMINGS = 3


# Whole numbers up to 2**53 are the same in every reader of JSON.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Speed = Annotated[float, msgspec.Meta(gt=0, le=2**53)]


@dataclasses.dataclass(frozen=True)
class TuningQueries:
    """What an index is measured with.

    Attributes:
        embeddings: of the queries.
        own_rows: where queries are rows of the gallery, which: never counted among the answers.
    """

    embeddings: Float32[np.ndarray, "queries dimensions"]
    own_rows: Int64[np.ndarray, " queries"] | None = None


@dataclasses.dataclass(frozen=True)
class Point:
    """Search settings, and what they achieve.

    Attributes:
        reorder: candidates whose exact scores are computed.
        leaves_to_search: partitions that a query is compared with; 0 where there are none.
        recall: share of the k nearest that are found.
        queries_per_second: all queries at once.
    """

    reorder: Count
    leaves_to_search: Count
    recall: Share
    queries_per_second: Speed


@dataclasses.dataclass(frozen=True)
class Tuning:
    """A measured curve.

    Attributes:
        rows: of the index.
        leaves: partitions that it has.
        wanted: recall.
        k: of the recall.
        queries: how many it was measured with.
        points: in the order in which they were measured.
        chosen: the fastest of those that reach the recall, if any does.
        exact_queries_per_second: of exact search on the same machine.
    """

    rows: Count
    leaves: Count
    wanted: Share
    k: Count
    queries: Count
    points: Annotated[list[Point], msgspec.Meta(min_length=1)]
    chosen: Point | None
    exact_queries_per_second: Speed

    def __post_init__(self) -> None:
        if self.chosen is not None and self.chosen not in self.points:
            raise ValueError("settings that were chosen, but not measured")

    def to_table(self) -> str:
        """The curve as a table."""
        ordered = sorted(self.points, key=lambda point: -point.queries_per_second)
        rows = [
            (
                str(point.leaves_to_search),
                str(point.reorder),
                f"{point.recall:.4f}",
                f"{point.queries_per_second:,.0f}",
                "chosen" if point == self.chosen else "",
            )
            for point in ordered
        ]
        rows.append(("", "exact", "1.0000", f"{self.exact_queries_per_second:,.0f}", ""))
        columns = (f"leaves of {self.leaves}", "reorder", f"recall@{self.k}", "queries/s", "")
        align = ("right", "right", "right", "right", "left")
        first = 0 if self.leaves else 1  # without partitions there is nothing to say of them
        table = tabulate(
            [row[first:] for row in rows],
            columns[first:],
            colalign=align[first:],
            disable_numparse=True,
        )
        head = f"{self.rows:,} photos, {self.queries:,} queries, wanted recall {self.wanted:g}"
        return f"{head}\n\n{table}"


def gallery_queries(
    embeddings: Float32[np.ndarray, "rows dimensions"], count: int, seed: int = 0
) -> TuningQueries:
    """Draws rows of a gallery as queries, each of which has to find others than itself."""
    rows = np.random.default_rng(seed).permutation(len(embeddings))[:count]
    rows = np.sort(rows).astype(np.int64)
    return TuningQueries(np.array(embeddings[rows]), rows)


def measure(
    index: ScannIndex,
    gallery: Float32[np.ndarray, "rows dimensions"],
    queries: TuningQueries,
    wanted: float,
    k: int,
    each: Callable[[Point], object] = lambda point: None,
) -> Tuning:
    """Measures recall against exact search, and speed, over a grid of settings.

    Args:
        index: of the gallery, with hashes.
        gallery: embeddings that were indexed.
        queries: at least one.
        wanted: recall, 0..1.
        k: of the recall; fewer than there are rows.
        each: is told every point as it is measured.
    """
    exact = ExactIndex(gallery)
    truth = _answers(exact, queries, k)
    exact_speed = _queries_per_second(exact, queries, k)
    points: list[Point] = []
    for settings in _grid(index, k, points, max(wanted, _AS_GOOD_AS_EXACT)):
        searched = index.searched_with(*settings)
        recall = _recall(_answers(searched, queries, k), truth)
        points.append(Point(*settings, recall, _queries_per_second(searched, queries, k)))
        each(points[-1])
    return Tuning(
        rows=len(index),
        leaves=index.settings.leaves,
        wanted=wanted,
        k=k,
        queries=len(queries.embeddings),
        points=points,
        chosen=choose(points, wanted),
        exact_queries_per_second=exact_speed,
    )


def choose(points: Sequence[Point], wanted: float) -> Point | None:
    """The fastest point with the wanted recall, or `None`."""
    good = [point for point in points if point.recall >= wanted]
    return max(good, key=lambda point: point.queries_per_second, default=None)


def fastest(points: Sequence[Point]) -> list[Point]:
    """Points that no other beats in both recall and speed, by rising recall."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.recall, -p.queries_per_second)):
        if not front or point.queries_per_second > front[-1].queries_per_second:
            front.append(point)
    return front[::-1]


def _grid(
    index: ScannIndex, k: int, measured: Sequence[Point], enough: float
) -> Iterator[tuple[int, int]]:
    """Settings that differ in what ScaNN does; more leaves only until the recall is enough."""
    all_leaves = index.settings.leaves
    leaves = sorted({max(1, round(share * all_leaves)) for share in _SHARES_OF_LEAVES})
    done = set()
    for reorder in sorted({min(factor * k, len(index)) for factor in _CANDIDATES}):
        for leaves_to_search in leaves if all_leaves else [0]:
            effort = index.searched_with(reorder, leaves_to_search).effort(k + 1)
            if effort in done:
                continue
            done.add(effort)
            yield reorder, leaves_to_search
            if measured[-1].recall >= enough:
                break


def _answers(index: Index, queries: TuningQueries, k: int) -> Neighbours:
    """The k nearest of each query, itself left out."""
    found = index.search(queries.embeddings, k + 1)
    if queries.own_rows is None:
        return Neighbours(rows=found.rows[:, :k], scores=found.scores[:, :k])
    itself = found.rows == queries.own_rows[:, None]
    others = np.argsort(itself, axis=1, kind="stable")[:, :k]
    return Neighbours(
        rows=np.take_along_axis(found.rows, others, axis=1),
        scores=np.take_along_axis(found.scores, others, axis=1),
    )


def _recall(found: Neighbours, truth: Neighbours) -> float:
    """Share of answers that are as near as the last one of the exact ones."""
    farthest = truth.scores[:, -1:]
    return float((found.scores >= farthest - _EQUALLY_NEAR).mean())


def _queries_per_second(index: Index, queries: TuningQueries, k: int) -> float:
    best = np.inf
    for _ in range(_TIMINGS):
        start = time.perf_counter()
        index.search(queries.embeddings, k)
        best = min(best, time.perf_counter() - start)
    return float(len(queries.embeddings) / best)
