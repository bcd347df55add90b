"""Evaluation report of a trained model as one self-contained HTML file."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence

import numpy as np

from fashion_jax.files import atomic_write
from fashion_jax.reports.embedding_map import COLUMNS
from fashion_jax.reports.page import render_page
from fashion_jax.reports.report_page import figures, tables
from fashion_jax.reports.tuning_picture import best_points, tuning_chart
from fashion_jax.retrieval.scann_tuning import Tuning

GROUPS = {
    "best": ("Best", "the queries with the highest average precision"),
    "median": ("Median", "typical queries"),
    "worst": ("Worst", "the queries with the lowest average precision"),
    "search": (
        "Searches through the ScaNN index",
        "approximate results, as in fashion-jax search",
    ),
}

Curves = Mapping[str, Sequence[float] | np.ndarray]


@dataclasses.dataclass(frozen=True)
class RankedAnswer:
    """A gallery photo in a ranking.

    Attributes:
        jpeg: encoded photo, ideally at most 240 pixels on its longer side.
        caption: name of the photo.
        score: cosine similarity to the query, or minus its distance; higher is better.
        right: whether it shows the query's product; None if unknown.
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
        caption: name of the query.
        answers: answers in the order of their ranks.
        group: key of `GROUPS`; lists of other groups follow under their own names.
        average_precision: average precision over the full ranking, if known.
        first_match_rank: rank of the first correct match, from 1, if any.
        total_relevant: number of the product's photos in the gallery, if known.
        refined: answers with refined embeddings, if any.
        explained: the query and its first answer, coloured by what makes them similar.
    """

    query_jpeg: bytes
    caption: str
    answers: Sequence[RankedAnswer]
    group: str
    average_precision: float | None = None
    first_match_rank: int | None = None
    total_relevant: int | None = None
    refined: Sequence[RankedAnswer] = ()
    explained: tuple[bytes, bytes] | None = None

    def right_answers(self) -> int:
        """Count the correct answers among those shown."""
        return sum(answer.right is True for answer in self.answers)


@dataclasses.dataclass(frozen=True)
class SuspectPair:
    """Two similar photos of different products; see `metrics/suspected_label_errors.py`."""

    one_jpeg: bytes
    one_caption: str
    other_jpeg: bytes
    other_caption: str
    score: float


@dataclasses.dataclass(frozen=True)
class MapTile:
    """A photo in a square of the map; see `reports/embedding_map.py`."""

    jpeg: bytes
    caption: str
    column: int
    line: int
    photos: int


@dataclasses.dataclass(frozen=True)
class CategoryResult:
    """Metrics of one category's queries in the whole gallery (`instance`)."""

    category: str
    queries: int
    mean_average_precision: float
    accuracy_at_1: float


@dataclasses.dataclass(frozen=True)
class DatasetFacts:
    """Dataset behind the metrics.

    Attributes:
        name: name of the dataset.
        photos: number of photos per split.
        identities: number of products per split.
        evaluated_queries: number of queries that the metrics average over.
        skipped_queries: number of other queries by reason.
        raw_photos: number of photos in the raw copy: `expected`, `found`, `missing`, `empty`,
            `truncated`, `not_an_image`, `unsupported_format`, as far as known.
        boxes: number of repaired or dropped boxes by defect.
        build_options: options of the dataset's build, such as `box_reading`.
        trained_on: dataset that the model was trained on.
        training_options: options of that dataset's build.
        seen_in_training: lines about test products that the model was trained on.
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
    seen_in_training: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class ReportData:
    """Content of the report.

    Attributes:
        title: title of the page.
        subtitle: line below the title.
        dataset: evaluated dataset.
        metrics: metrics of the trained model, named `protocol/metric`.
        baseline_metrics: metrics of the untrained network, if measured.
        refined_metrics: metrics with refined embeddings, if measured.
        refinements: description of the refinements.
        intervals: 95 % intervals of `metrics`.
        unmeasured: line for each protocol without a measurable query.
        cmc: share of queries with a match in the first k = 1, 2, ... answers, per protocol.
        baseline_cmc: match shares of the untrained network, if measured.
        per_category: entry for each category with queries.
        ranked_lists: ranked lists of test queries.
        searches: ranked lists from an approximate index.
        suspects: similar photos of different products.
        tiles: tiles of the gallery's map.
        map_columns: squares per line of the map.
        map_variance: share of the variance that the map shows.
        tunings: recall and speed of the run's index, by segment.
        history: lines of `metrics.jsonl`.
        config: resolved config of the run.
        environment: versions, devices, time taken.
        command: command that reproduces the report.
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
    """Write the page atomically: an interrupted write leaves the previous page.

    Args:
        path: HTML file; missing folders are made.
        data: content of the report.
    """
    atomic_write(path, render_report(data).encode("utf-8"))


def render_report(data: ReportData) -> str:
    """Render the page as HTML."""
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
    """Sorts the best first and those without a number last."""

    def order(result: CategoryResult) -> tuple[bool, float, str]:
        known = math.isfinite(result.mean_average_precision)
        return (not known, -result.mean_average_precision if known else 0.0, result.category)

    return sorted(results, key=order)
