"""The matrix train × test: what each run finds on each dataset, for programs and for people."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A row of the matrix.

    Attributes:
        name: of the run: its folder's, or its whole path where two folders have the same.
        workdir: as it was given.
        trained_on: names of its training datasets.
        backbone: of its network.
        image: size of a photo as the network sees it, (height, width) in pixels.
        step: of the checkpoint.
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
        name: of the dataset.
        version: of its build.
        queries: photos in its query split.
        gallery: photos in its gallery split.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if not known.
    """

    name: str
    version: str
    queries: int
    gallery: int
    coverage: Mapping[str, int] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run on one dataset.

    Attributes:
        run: the row's name.
        dataset: the column's name.
        own: whether the run was trained on this dataset (on other products of it).
        metrics: by `protocol/metric`; without those protocols that have nothing to measure here.
        measured: queries that the metrics average over, by protocol.
        skipped: the others by protocol and reason.
    """

    run: str
    dataset: str
    own: bool
    metrics: Mapping[str, float]
    measured: Mapping[str, int]
    skipped: Mapping[str, Mapping[str, int]]

    def metric(self, name: str) -> float:
        """A metric by `protocol/metric`; NaN where the protocol has nothing to measure."""
        return self.metrics.get(name, math.nan)


@dataclasses.dataclass(frozen=True)
class CrossDomain:
    """All runs on all datasets.

    Attributes:
        runs: rows.
        datasets: columns.
        cells: one for each pair, row by row.
        seconds: embedding and ranking took.
        report: the page, once it is written.
    """

    runs: Sequence[TrainedRun]
    datasets: Sequence[SearchedDataset]
    cells: Sequence[Cell]
    seconds: float
    report: pathlib.Path | None = None

    def cell(self, run: str, dataset: str) -> Cell:
        """The cell in a row and a column, by their names."""
        return next(c for c in self.cells if (c.run, c.dataset) == (run, dataset))

    def protocols(self) -> list[str]:
        """Names of the protocols that measure anything, in the order of the cells' metrics."""
        return list(dict.fromkeys(name.rpartition("/")[0] for name in self._names()))

    def metric_names(self, protocol: str) -> list[str]:
        """Names such as `mAP` and `Acc@20` of a protocol's metrics."""
        names = (name.rpartition("/") for name in self._names())
        return [metric for of, _, metric in names if of == protocol]

    def gap(self, cell: Cell, metric: str) -> float | None:
        """How far a run is from the best of those that were trained on the cell's dataset.

        Both are measured on the same queries and gallery. None for a cell that is itself of a
        run trained there, and where there is no such run, or nothing to measure.
        """
        own = [c.metric(metric) for c in self.cells if c.dataset == cell.dataset and c.own]
        gap = cell.metric(metric) - max(own, default=math.nan)
        return gap if not cell.own and math.isfinite(gap) else None

    def mean(self, metric: str, own: bool) -> float | None:
        """Mean over the cells on the runs' own datasets, or over the others; None without any.

        NaN if one of them has nothing to measure.
        """
        values = [cell.metric(metric) for cell in self.cells if cell.own == own]
        return float(np.mean(values)) if values else None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "runs": [dataclasses.asdict(run) for run in self.runs],
            "datasets": [dataclasses.asdict(dataset) for dataset in self.datasets],
            "cells": [dataclasses.asdict(cell) for cell in self.cells],
            "seconds": round(self.seconds, 1),
            "report": None if self.report is None else str(self.report),
        }

    def to_table(self) -> str:
        """Tables for people, one a protocol; a star marks a run's own dataset."""
        parts = [f"{run.name}: {self._describe(run)}" for run in self.runs]
        parts += [self._describe_test(dataset) for dataset in self.datasets]
        for protocol in self.protocols():
            metrics = self.metric_names(protocol)
            columns = ["run", "tested on", *metrics, "queries", "gallery"]
            rows = [self._row(cell, protocol, metrics) for cell in self.cells]
            parts += ["", f"{protocol}:", tabulate(rows, columns, floatfmt=".4f", missingval="–")]
        parts += ["", "* a dataset that the run was trained on; its test products are others"]
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
            return text + "; how much of the raw dataset there was is not known"
        return (
            f"{text}; {dataset.coverage['usable']} of {dataset.coverage['expected']} photos in the "
            "raw dataset's lists were usable"
        )
