"""Results under corruptions: curves over severity and the areas under them."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from msgspec import to_builtins
from tabulate import tabulate

from fashion_jax.evaluation.seen_in_training import SeenInTraining

MAP, ACC_1 = "instance/mAP", "instance/Acc@1"
METRICS = (MAP, ACC_1)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric over the severity of a corruption.

    Attributes:
        severities: severities in rising order, from 0 (clean) to 1.
        values: value of the metric at each severity.
    """

    severities: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve by the trapezoidal rule: the mean of the metric over severities."""
        return float(np.trapezoid(self.values, self.severities))

    @property
    def relative_area(self) -> float:
        """Area divided by the clean value: 1 without loss; NaN if that value is 0."""
        return self.area / self.values[0] if self.values[0] else math.nan

    @property
    def lost(self) -> float:
        """1 − relative area: the lost share of the clean metric, averaged over severities."""
        return 1 - self.relative_area

    def to_json(self) -> dict[str, Any]:
        """Return plain values; None for NaN."""
        return {
            "curve": list(self.values),
            "area": self.area,
            "relative_area": _finite(self.relative_area),
            "lost": _finite(self.lost),
        }


@dataclasses.dataclass(frozen=True)
class CorruptionResult:
    """Result of one corruption.

    Attributes:
        name: name of the corruption.
        full_severity: description of severity 1.
        curves: curves by metric, one for each of `METRICS`.
    """

    name: str
    full_severity: str
    curves: Mapping[str, Curve]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        curves = {metric: curve.to_json() for metric, curve in self.curves.items()}
        return {"full_severity": self.full_severity, **curves}


@dataclasses.dataclass(frozen=True)
class Robustness:
    """Results of a model under corruptions.

    Attributes:
        dataset: name of the dataset.
        step: training step of the checkpoint.
        severities: measured severities; the first is 0.
        results: results, one per corruption; `sorted_results` orders them by loss.
        gallery: number of gallery photos, all clean.
        queries: number of corrupted photos.
        all_queries: number of queries in the dataset; `queries` of them were drawn at random.
        skipped: number of queries without a correct match, by reason.
        seed: seed of the sample and of all corruptions.
        embedded: number of photos embedded.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if unknown.
        seconds: duration.
        report: path of the page.
        seen_in_training: test products that the model was trained on; None if unknown.
    """

    dataset: str
    step: int
    severities: tuple[float, ...]
    results: tuple[CorruptionResult, ...]
    gallery: int
    queries: int
    all_queries: int
    skipped: Mapping[str, int]
    seed: int
    embedded: int
    coverage: Mapping[str, int]
    seconds: float
    report: pathlib.Path | None = None
    seen_in_training: SeenInTraining | None = None

    @property
    def measured(self) -> int:
        """Number of queries that the metrics average over."""
        return self.queries - sum(self.skipped.values())

    def clean(self) -> dict[str, float]:
        """Return the metrics of the clean queries."""
        return {metric: curve.values[0] for metric, curve in self.results[0].curves.items()}

    def sorted_results(self) -> list[CorruptionResult]:
        """Sort the results by loss of mAP, the greatest first."""

        def order(result: CorruptionResult) -> tuple[bool, float]:
            lost = result.curves[MAP].lost
            return (math.isnan(lost), -lost if math.isfinite(lost) else 0.0)

        return sorted(self.results, key=order)

    def mean_relative_area(self, metric: str) -> float:
        """Average a metric's relative area over the corruptions."""
        return float(np.mean([result.curves[metric].relative_area for result in self.results]))

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `--json` and `robustness.json`."""
        return {
            "dataset": self.dataset,
            "step": self.step,
            "seed": self.seed,
            "photos": {
                "gallery": self.gallery,
                "queries": self.queries,
                "queries_of_the_dataset": self.all_queries,
                "queries_measured": self.measured,
                "embedded": self.embedded,
            },
            "skipped_queries": dict(self.skipped),
            "coverage": dict(self.coverage),
            "seen_in_training": to_builtins(self.seen_in_training),
            "clean": self.clean(),
            "mean_relative_area": {
                metric: _finite(self.mean_relative_area(metric)) for metric in METRICS
            },
            "severities": list(self.severities),
            "corruptions": {result.name: result.to_json() for result in self.sorted_results()},
            "seconds": round(self.seconds, 1),
            "report": None if self.report is None else str(self.report),
        }

    def to_table(self) -> str:
        """Return a table for people."""
        clean = ", ".join(f"{metric} {value:.4f}" for metric, value in self.clean().items())
        return "\n".join(
            [
                f"{self.dataset}, checkpoint of step {self.step}; clean: {clean}",
                "",
                tabulate(self._rows(), self._columns(), floatfmt=".4f", missingval="-"),
                "",
                "area: mean over severities 0..1 (trapezoidal rule); relative: area / clean value,",
                "1 without loss; full: at severity 1",
                self.queries_in_words(),
                self.coverage_in_words(),
                *(self.seen_in_training.lines() if self.seen_in_training else []),
                f"report: {self.report}",
            ]
        )

    def _columns(self) -> list[str]:
        short = [metric.removeprefix("instance/") for metric in METRICS]
        kinds = ("full", "area", "relative")
        return ["corruption", *(f"{metric} {kind}" for metric in short for kind in kinds)]

    def _rows(self) -> list[list[Any]]:
        rows: list[list[Any]] = []
        for result in self.sorted_results():
            rows.append([result.name])
            for curve in (result.curves[metric] for metric in METRICS):
                rows[-1] += [curve.values[-1], curve.area, _finite(curve.relative_area)]
        return rows

    def queries_in_words(self) -> str:
        """Describe the queries that the numbers rest on."""
        sample = (
            f"all {self.queries:,} queries"
            if self.queries == self.all_queries
            else f"{self.queries:,} of {self.all_queries:,} queries, drawn with seed {self.seed}"
        )
        reasons = [
            f"{count:,} ({reason.replace('_', ' ')})"
            for reason, count in self.skipped.items()
            if count
        ]
        return (
            f"{sample}; {self.measured:,} measured against {self.gallery:,} clean gallery photos; "
            f"skipped: {', '.join(reasons) or 'none'}"
        )

    def coverage_in_words(self) -> str:
        """Describe how complete the raw dataset was."""
        if not self.coverage:
            return "completeness of the raw dataset unknown"
        return (
            f"of {self.coverage['expected']:,} photos in the raw dataset's lists, "
            f"{self.coverage['usable']:,} were usable"
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
