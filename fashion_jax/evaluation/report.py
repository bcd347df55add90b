"""One self-contained HTML file that shows what a trained model can do."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from fashion_jax.evaluation.embedding_map import COLUMNS
from fashion_jax.evaluation.page import render_page
from fashion_jax.evaluation.report_page import figures, tables
from fashion_jax.files import write_whole
from fashion_jax.retrieval.scann_tuning import Tuning
from fashion_jax.retrieval.tuning_picture import best_points, tuning_chart

GROUPS = {
    "best": ("Best", "the queries with the highest average precision"),
    "median": ("Median", "what to expect of a typical query"),
    "worst": ("Worst", "where the model fails: the lowest average precision"),
    "search": (
        "Searches through the ScaNN index",
        "approximate, as the command fashion-jax search answers",
    ),
}

Curves = Mapping[str, Sequence[float] | np.ndarray]


@dataclasses.dataclass(frozen=True)
class RankedAnswer:
    """A gallery photo in a ranking.

    Attributes:
        jpeg: encoded photo, best no larger than 240 pixels on its longer side.
        caption: its name.
        score: cosine similarity to the query, or minus its distance; higher is better.
        right: whether it shows the query's product; None if that is not known.
    """

    jpeg: bytes
    caption: str
    score: float
    right: bool | None = None


@dataclasses.dataclass(frozen=True)
class RankedList:
    """A query with its first answers.

    Attributes:
        query_jpeg: encoded photo.
        caption: the query's name.
        answers: in the order of their ranks.
        group: a key of `GROUPS`; lists of any other group follow under its own name.
        average_precision: over the full ranking, if known.
        first_match_rank: rank of the first right answer, from 1, if there is one.
        total_relevant: photos of the query's product in the whole gallery, if known.
        refined: the answers of refined embeddings, or none.
    """

    query_jpeg: bytes
    caption: str
    answers: Sequence[RankedAnswer]
    group: str
    average_precision: float | None = None
    first_match_rank: int | None = None
    total_relevant: int | None = None
    refined: Sequence[RankedAnswer] = ()

    def right_answers(self) -> int:
        """How many of the answers shown are right."""
        return sum(answer.right is True for answer in self.answers)


@dataclasses.dataclass(frozen=True)
class SuspectPair:
    """Two photos of different products that are most alike; see `evaluation/suspects.py`."""

    one_jpeg: bytes
    one_caption: str
    other_jpeg: bytes
    other_caption: str
    score: float


@dataclasses.dataclass(frozen=True)
class MapTile:
    """A photo in a square of the map; see `evaluation/embedding_map.py`."""

    jpeg: bytes
    caption: str
    column: int
    line: int
    photos: int


@dataclasses.dataclass(frozen=True)
class CategoryResult:
    """Metrics of one category's queries, searched in the whole gallery (`instance`)."""

    category: str
    queries: int
    mean_average_precision: float
    accuracy_at_1: float


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """What the numbers rest on.

    Attributes:
        name: of the dataset.
        photos: per split.
        identities: per split.
        evaluated_queries: queries that the metrics average over.
        skipped_queries: the others, by the reason why.
        raw_photos: of the raw copy: `expected`, `found`, `missing`, `empty`, `truncated`,
            `not_an_image`, as far as known.
        boxes: boxes that were repaired or dropped, by what was wrong with them.
        build_options: what the records were built with, such as `box_reading`.
        trained_on: what the model was trained on.
        training_options: what that was built with.
    """

    name: str
    photos: Mapping[str, int]
    identities: Mapping[str, int]
    evaluated_queries: int
    skipped_queries: Mapping[str, int] = dataclasses.field(default_factory=dict)
    raw_photos: Mapping[str, int] = dataclasses.field(default_factory=dict)
    boxes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    build_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    trained_on: str = ""
    training_options: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ReportData:
    """All that the report shows.

    Attributes:
        title: of the page.
        subtitle: one line below it.
        dataset: what was evaluated on.
        metrics: of the trained model, named `protocol/metric`.
        baseline_metrics: the same of the untrained network, if it was measured.
        refined_metrics: the same of refined embeddings, if there are any.
        refinements: what was done with them.
        intervals: 95 % intervals of `metrics`.
        unmeasured: a line for each protocol that has nothing to measure.
        cmc: per protocol, the share of queries with a match in the first k = 1, 2, ... answers.
        baseline_cmc: the same of the untrained network.
        per_category: one entry per category that has queries.
        ranked_lists: of test queries.
        searches: ranked lists that an approximate index answered.
        suspects: photos of different products that are most alike.
        tiles: of the gallery's map.
        map_columns: squares in a line of the map.
        map_variance: share of the variance that the map shows.
        tunings: recall and speed of the run's index, by its segments' names.
        history: lines of `metrics.jsonl`.
        config: the run's resolved config.
        environment: versions, devices, time taken.
        command: that makes this report again.
    """

    title: str
    subtitle: str
    dataset: DatasetFacts
    metrics: Mapping[str, float]
    baseline_metrics: Mapping[str, float] | None = None
    refined_metrics: Mapping[str, float] | None = None
    refinements: str = ""
    intervals: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    unmeasured: Sequence[str] = ()
    cmc: Curves = dataclasses.field(default_factory=dict)
    baseline_cmc: Curves | None = None
    per_category: Sequence[CategoryResult] = ()
    ranked_lists: Sequence[RankedList] = ()
    searches: Sequence[RankedList] = ()
    suspects: Sequence[SuspectPair] = ()
    tiles: Sequence[MapTile] = ()
    map_columns: int = COLUMNS
    map_variance: float = 0.0
    tunings: Mapping[str, Tuning] = dataclasses.field(default_factory=dict)
    history: Sequence[Mapping[str, object]] = ()
    config: Mapping[str, object] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, object] = dataclasses.field(default_factory=dict)
    command: str = ""


def write_report(path: str | os.PathLike[str], data: ReportData) -> None:
    """Writes the page; under its final name it is either whole or the one that was there before.

    Args:
        path: of the HTML file; missing folders are made.
        data: what to show.
    """
    write_whole(path, render_report(data).encode("utf-8"))


def render_report(data: ReportData) -> str:
    """The page's HTML."""
    lists = [*data.ranked_lists, *data.searches]
    return render_page(
        "page.html",
        data=data,
        untrained=data.baseline_metrics is not None,
        metric_tables=tables.metric_tables(
            data.metrics, data.baseline_metrics, data.refined_metrics, data.intervals
        ),
        groups=[
            (key, *GROUPS.get(key, (key, "")), [each for each in lists if each.group == key])
            for key in dict.fromkeys([*GROUPS, *(each.group for each in lists)])
        ],
        cmc=figures.cmc_charts(data.cmc, data.baseline_cmc),
        categories=_sorted_categories(data.per_category),
        index_curves=[
            (segment, tuning, best_points(tuning), tuning_chart(tuning))
            for segment, tuning in data.tunings.items()
        ],
        training=figures.training_figures(data.history),
        usable_photos=tables.usable_photos(data.dataset.raw_photos),
        settings=tables.settings(data.config),
        meaning=tables.meaning,
    )


def _sorted_categories(results: Sequence[CategoryResult]) -> list[CategoryResult]:
    """Best first; those without a number last."""

    def order(result: CategoryResult) -> tuple[bool, float, str]:
        known = math.isfinite(result.mean_average_precision)
        return (not known, -result.mean_average_precision if known else 0.0, result.category)

    return sorted(results, key=order)
