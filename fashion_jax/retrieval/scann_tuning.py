"""Tuning of ScaNN: recall and speed over a grid of search settings.

The index is built once; the numbers of candidates and partitions are chosen at every search.
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
from fashion_jax.retrieval.filtered import FilteredIndex
from fashion_jax.retrieval.index import Index, Neighbours
from fashion_jax.retrieval.scann_index import ScannIndex

# Candidates as multiples of k, and partitions as shares of all partitions.
_CANDIDATES = (5, 10, 15, 30, 60, 120)
_SHARES_OF_LEAVES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)
# Copies of a photo are equally good answers, and indexes round scores differently.
_EQUALLY_NEAR = 1e-5
_AS_GOOD_AS_EXACT = 0.9995
_HALVINGS = 3  # of the step of the grid in which the recall is reached
_TIMINGS = 3
SHARES = (0.01, 0.1, 0.9)
"""Shares of the rows that filters leave, to measure with."""


# Whole numbers up to 2**53 are the same in every reader of JSON.
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Speed = Annotated[float, msgspec.Meta(gt=0, le=2**53)]


@dataclasses.dataclass(frozen=True)
class TuningQueries:
    """Queries to measure an index with.

    Attributes:
        embeddings: embeddings of the queries.
        own_rows: gallery rows of the queries if they come from the gallery; never counted as
            answers.
    """

    embeddings: Float32[np.ndarray, "queries dimensions"]
    own_rows: Int64[np.ndarray, " queries"] | None = None


@dataclasses.dataclass(frozen=True)
class Point:
    """Search settings with their recall and speed.

    Attributes:
        reorder: number of candidates whose exact scores are computed.
        leaves_to_search: number of partitions searched; 0 without partitions.
        recall: share of the k nearest rows that are found.
        queries_per_second: speed when all queries are searched at once.
    """

    reorder: Count
    leaves_to_search: Count
    recall: Share
    queries_per_second: Speed


@dataclasses.dataclass(frozen=True)
class FilteredPoint:
    """Recall and speed of searches in which only some rows may be found, drawn at random.

    Attributes:
        share: share of the rows that may be found.
        exact: whether they are few enough to compare all of them.
        recall: share of the k nearest of them that are found.
        queries_per_second: speed when all queries are searched at once.
    """

    share: Share
    exact: bool
    recall: Share
    queries_per_second: Speed


@dataclasses.dataclass(frozen=True)
class Tuning:
    """Measured curve of recall against speed.

    Attributes:
        rows: number of rows in the index.
        leaves: number of partitions in the index.
        wanted: recall to reach, 0 to 1.
        k: number of neighbours the recall is measured at.
        queries: number of queries it was measured with.
        points: measured points, in the order of measurement.
        chosen: fastest point that reaches the wanted recall; None if none does.
        exact_queries_per_second: speed of exact search on the same machine.
        filtered: searches under filters with the chosen settings.
    """

    rows: Count
    leaves: Count
    wanted: Share
    k: Count
    queries: Count
    points: Annotated[list[Point], msgspec.Meta(min_length=1)]
    chosen: Point | None
    exact_queries_per_second: Speed
    filtered: list[FilteredPoint]

    def __post_init__(self) -> None:
        if self.chosen is not None and self.chosen not in self.points:
            raise ValueError("settings that were chosen, but not measured")

    def to_table(self) -> str:
        """Format the curve as a table."""
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
        first = 0 if self.leaves else 1  # an index without partitions needs no column for them
        table = tabulate(
            [row[first:] for row in rows],
            columns[first:],
            colalign=align[first:],
            disable_numparse=True,
        )
        head = f"{self.rows:,} photos, {self.queries:,} queries, wanted recall {self.wanted:g}"
        return "\n\n".join([head, table, *([self._filtered_table()] if self.filtered else [])])

    def _filtered_table(self) -> str:
        rows = [
            (
                f"{point.share:.0%}",
                "all compared" if point.exact else "ScaNN",
                f"{point.recall:.4f}",
                f"{point.queries_per_second:,.0f}",
            )
            for point in self.filtered
        ]
        columns = ("filtered photos", "search", f"recall@{self.k}", "queries/s")
        align = ("right", "left", "right", "right")
        return tabulate(rows, columns, colalign=align, disable_numparse=True)


def gallery_queries(
    embeddings: Float32[np.ndarray, "rows dimensions"], count: int, seed: int = 0
) -> TuningQueries:
    """Sample rows of a gallery as queries; a query does not count as its own answer."""
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
        index: hashed index of the gallery.
        gallery: embeddings the index was built from.
        queries: at least one query.
        wanted: recall to reach, 0 to 1.
        k: number of neighbours to measure recall at; fewer than the index has rows.
        each: callback that receives every point once it is measured.
    """
    exact = ExactIndex(gallery)
    truth = _answers(exact, queries, k)
    exact_speed = _queries_per_second(exact, queries, k)
    points: list[Point] = []

    def measured(settings: tuple[int, int]) -> Point:
        searched = index.searched_with(*settings)
        recall = _recall(_answers(searched, queries, k), truth)
        return Point(*settings, recall, _queries_per_second(searched, queries, k))

    for settings in _grid(index, k, points, max(wanted, _AS_GOOD_AS_EXACT)):
        points.append(measured(settings))
        each(points[-1])
    for _ in range(_HALVINGS):
        for settings in _between(index, k, points, wanted):
            points.append(measured(settings))
            each(points[-1])
    chosen = choose(points, wanted)
    best = index.searched_with(chosen.reorder, chosen.leaves_to_search) if chosen else index
    return Tuning(
        rows=len(index),
        leaves=index.settings.leaves,
        wanted=wanted,
        k=k,
        queries=len(queries.embeddings),
        points=points,
        chosen=chosen,
        exact_queries_per_second=exact_speed,
        filtered=[measure_filtered(best, gallery, queries, k, share) for share in SHARES],
    )


def measure_filtered(
    index: Index,
    gallery: Float32[np.ndarray, "rows dimensions"],
    queries: TuningQueries,
    k: int,
    share: float,
    seed: int = 0,
) -> FilteredPoint:
    """Measures searches in which a random share of the rows may be found; see `measure`."""
    allowed = np.random.default_rng(seed).random(len(gallery)) < share
    allowed[: k + 1] = True  # as many answers as are counted

    def rows(numbers: Int64[np.ndarray, " some"]) -> Float32[np.ndarray, "some dimensions"]:
        return gallery[numbers]

    filtered = FilteredIndex(index, allowed, rows)
    truth = _answers(FilteredIndex(ExactIndex(gallery), allowed, rows), queries, k)
    return FilteredPoint(
        share=share,
        exact=filtered.is_exact,
        recall=_recall(_answers(filtered, queries, k), truth),
        queries_per_second=_queries_per_second(filtered, queries, k),
    )


def choose(points: Sequence[Point], wanted: float) -> Point | None:
    """Return the fastest point with the wanted recall, or None."""
    good = [point for point in points if point.recall >= wanted]
    return max(good, key=lambda point: point.queries_per_second, default=None)


def fastest(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other point beats in both recall and speed, by recall."""
    front: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.recall, -p.queries_per_second)):
        if not front or point.queries_per_second > front[-1].queries_per_second:
            front.append(point)
    return front[::-1]


def _grid(
    index: ScannIndex, k: int, measured: Sequence[Point], enough: float
) -> Iterator[tuple[int, int]]:
    """Yield settings with different effects, with more leaves until the recall is enough."""
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


def _between(
    index: ScannIndex, k: int, measured: Sequence[Point], wanted: float
) -> Iterator[tuple[int, int]]:
    """Yield settings between the most leaves that are too few, and the fewest that are enough."""
    done = {(point.reorder, point.leaves_to_search) for point in measured}
    for reorder in sorted({point.reorder for point in measured}):
        row = [point for point in measured if point.reorder == reorder]
        enough = min((p.leaves_to_search for p in row if p.recall >= wanted), default=0)
        fewer = [point.leaves_to_search for point in row if point.leaves_to_search < enough]
        middle = round((max(fewer) * enough) ** 0.5) if fewer else 0
        if middle and (reorder, middle) not in done:
            yield reorder, middle


def _answers(index: Index, queries: TuningQueries, k: int) -> Neighbours:
    """Nearest k rows of each query, without the query itself."""
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
    """Share of answers at least as near as the last exact answer."""
    farthest = truth.scores[:, -1:]
    return float((found.scores >= farthest - _EQUALLY_NEAR).mean())


def _queries_per_second(index: Index, queries: TuningQueries, k: int) -> float:
    best = np.inf
    for _ in range(_TIMINGS):
        start = time.perf_counter()
        index.search(queries.embeddings, k)
        best = min(best, time.perf_counter() - start)
    return float(len(queries.embeddings) / best)
