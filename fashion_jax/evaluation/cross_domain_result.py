"""Results of several runs on several datasets, for programs and for people."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.evaluation.seen_in_training import SeenInTraining


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A row of the matrix.

    Attributes:
        name: name of the run's folder, or its whole path if two folders share the name.
        workdir: directory of the run, as given.
        trained_on: names of the training datasets.
        backbone: name of the backbone.
        image: size of the network's input, (height, width) in pixels.
        step: training step of the checkpoint.
    """

    name: str
    workdir: str
    trained_on: tuple[str, ...]
    backbone: str
    image: tuple[int, int]
    step: int


@dataclasses.dataclass(frozen=True)
class SearchedDataset:
    """A column of the matrix.

    Attributes:
        name: name of the dataset.
        version: version of the dataset.
        queries: number of photos in the query split.
        gallery: number of photos in the gallery split.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if unknown.
    """

    name: str
    version: str
    queries: int
    gallery: int
    coverage: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Cell:
    """Metrics of one run on one dataset.

    Attributes:
        run: name of the row.
        dataset: name of the column.
        own: whether the run was trained on (other products of) this dataset.
        metrics: metrics by `protocol/metric`, without protocols that have no measurable query.
        measured: number of queries that the metrics average over, by protocol.
        skipped: number of other queries, by protocol and reason.
        seen_in_training: test products that the run was trained on; None if unknown.
    """

    run: str
    dataset: str
    own: bool
    metrics: Mapping[str, float]
    measured: Mapping[str, int]
    skipped: Mapping[str, Mapping[str, int]]
    seen_in_training: SeenInTraining | None = None

    def metric(self, name: str) -> float:
        """Return a metric by `protocol/metric`; NaN if the protocol has no measurable query."""
        return self.metrics.get(name, math.nan)


@dataclasses.dataclass(frozen=True)
class CrossDomainResult:
    """Metrics of all runs on all datasets.

    Attributes:
        runs: rows of the matrix.
        datasets: columns of the matrix.
        cells: cells of the matrix, row by row.
        seconds: duration of embedding and ranking.
        report: path of the page.
    """

    runs: Sequence[TrainedRun]
    datasets: Sequence[SearchedDataset]
    cells: Sequence[Cell]
    seconds: float
    report: str | None = None

    def cell(self, run: str, dataset: str) -> Cell:
        """Return the cell of a run and a dataset, by their names."""
        return next(c for c in self.cells if (c.run, c.dataset) == (run, dataset))

    def protocols(self) -> list[str]:
        """List the protocols with measurable queries, in the order of the cells' metrics."""
        return list(dict.fromkeys(name.rpartition("/")[0] for name in self._names()))

    def metric_names(self, protocol: str) -> list[str]:
        """List the metrics of a protocol, such as `mAP` and `Acc@20`."""
        names = (name.rpartition("/") for name in self._names())
        return [metric for of, _, metric in names if of == protocol]

    def gap(self, cell: Cell, metric: str) -> float | None:
        """Subtracts the best metric of the runs that were trained on the cell's dataset.

        Both values come from the same queries and gallery. None if the cell's own run was trained
        on the dataset, if no run was, or if a value is missing.
        """
        own = [c.metric(metric) for c in self.cells if c.dataset == cell.dataset and c.own]
        gap = cell.metric(metric) - max(own, default=math.nan)
        return gap if not cell.own and math.isfinite(gap) else None

    def mean(self, metric: str, own: bool) -> float | None:
        """Averages a metric over the cells on the runs' own datasets, or over all other cells.

        None without such a cell; NaN if one of them lacks the metric.
        """
        values = [cell.metric(metric) for cell in self.cells if cell.own == own]
        return float(np.mean(values)) if values else None

    def seen_in_training(self) -> list[str]:
        """Describe the test products that runs were trained on, one line per fact."""
        return [
            f"{cell.run} on {cell.dataset}: {line}"
            for cell in self.cells
            if cell.seen_in_training
            for line in cell.seen_in_training.lines()
        ]

    def to_table(self) -> str:
        """Tables for people, one per protocol; a star marks a run's own dataset."""
        parts = [f"{run.name}: {self._describe(run)}" for run in self.runs]
        parts += [self._describe_test(dataset) for dataset in self.datasets]
        for protocol in self.protocols():
            metrics = self.metric_names(protocol)
            columns = ["run", "tested on", *metrics, "queries", "gallery"]
            rows = [self._row(cell, protocol, metrics) for cell in self.cells]
            parts += ["", f"{protocol}:", tabulate(rows, columns, floatfmt=".4f", missingval="–")]
        parts += [
            "",
            "* dataset that the run was trained on; the test has its other products",
            *self.seen_in_training(),
        ]
        return "\n".join([*parts, f"report: {self.report}"])

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for cell in self.cells for name in cell.metrics))

    def _row(self, cell: Cell, protocol: str, metrics: Sequence[str]) -> list[Any]:
        gallery = next(each.gallery for each in self.datasets if each.name == cell.dataset)
        return [
            cell.run,
            cell.dataset + (" *" if cell.own else ""),
            *(cell.metrics.get(f"{protocol}/{metric}") for metric in metrics),
            cell.measured[protocol],
            gallery,
        ]

    def _describe(self, run: TrainedRun) -> str:
        height, width = run.image
        return (
            f"{run.backbone}, {height}×{width} pixels, step {run.step}, "
            f"trained on {' and '.join(run.trained_on)}"
        )

    def _describe_test(self, dataset: SearchedDataset) -> str:
        cells = [cell for cell in self.cells if cell.dataset == dataset.name]
        reasons = dict(cells[0].skipped["instance"]) if cells else {}
        skipped = [f"{count} {reason}" for reason, count in reasons.items() if count]
        text = f"{dataset.name} {dataset.version}: queries skipped: {', '.join(skipped) or 'none'}"
        if not dataset.coverage:
            return text + "; completeness of the raw dataset unknown"
        return (
            f"{text}; {dataset.coverage['usable']} of {dataset.coverage['expected']} photos in the "
            "raw dataset's lists were usable"
        )
