"""What nuisances do to a model: curves over strength and the areas under them."""

import dataclasses
import math
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

MAP, ACC_1 = "instance/mAP", "instance/Acc@1"
METRICS = (MAP, ACC_1)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric over the strength of a nuisance.

    Attributes:
        strengths: rising from 0, no disturbance, to 1.
        values: of the metric, one a strength.
    """

    strengths: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def area(self) -> float:
        """Area under the curve by the trapezoid rule: the metric's mean over all strengths."""
        return float(np.trapezoid(self.values, self.strengths))

    @property
    def relative_area(self) -> float:
        """Area divided by the clean value: 1 where nothing is lost; NaN where that value is 0."""
        return self.area / self.values[0] if self.values[0] else math.nan

    @property
    def lost(self) -> float:
        """1 − relative area: the share of the clean metric lost, averaged over all strengths."""
        return 1 - self.relative_area

    def to_json(self) -> dict[str, Any]:
        """Plain values; None for NaN."""
        return {
            "curve": list(self.values),
            "area": self.area,
            "relative_area": _finite(self.relative_area),
            "lost": _finite(self.lost),
        }


@dataclasses.dataclass(frozen=True)
class NuisanceResult:
    """What one nuisance does.

    Attributes:
        name: of the nuisance.
        full_strength: what strength 1 is.
        curves: by name from `METRICS`.
    """

    name: str
    full_strength: str
    curves: Mapping[str, Curve]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        curves = {metric: curve.to_json() for metric, curve in self.curves.items()}
        return {"full_strength": self.full_strength, **curves}


@dataclasses.dataclass(frozen=True)
class Robustness:
    """A model measured under nuisances.

    Attributes:
        dataset: name of the dataset.
        step: of the checkpoint.
        strengths: at which queries were measured; the first is 0.
        results: one a nuisance; `sorted_results` has them by loss.
        gallery: photos, all clean.
        queries: photos that were disturbed.
        all_queries: of the dataset; `queries` of them were drawn at random.
        skipped: queries without a right answer to find, by the reason why.
        seed: of the sample and of all disturbances.
        embedded: photos that went through the network.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if not known.
        seconds: it took.
        report: the page, once it is written.
    """

    dataset: str
    step: int
    strengths: tuple[float, ...]
    results: tuple[NuisanceResult, ...]
    gallery: int
    queries: int
    all_queries: int
    skipped: Mapping[str, int]
    seed: int
    embedded: int
    coverage: Mapping[str, int]
    seconds: float
    report: pathlib.Path | None = None

    @property
    def measured(self) -> int:
        """Queries that the metrics average over."""
        return self.queries - sum(self.skipped.values())

    def clean(self) -> dict[str, float]:
        """The metrics without a nuisance."""
        return {metric: curve.values[0] for metric, curve in self.results[0].curves.items()}

    def sorted_results(self) -> list[NuisanceResult]:
        """The greatest loss of mAP first."""

        def order(result: NuisanceResult) -> tuple[bool, float]:
            lost = result.curves[MAP].lost
            return (math.isnan(lost), -lost if math.isfinite(lost) else 0.0)

        return sorted(self.results, key=order)

    def mean_relative_area(self, metric: str) -> float:
        """Mean of a metric's relative area over the nuisances that were measured."""
        return float(np.mean([result.curves[metric].relative_area for result in self.results]))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json` and `robustness.json`."""
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
            "clean": self.clean(),
            "mean_relative_area": {
                metric: _finite(self.mean_relative_area(metric)) for metric in METRICS
            },
            "strengths": list(self.strengths),
            "nuisances": {result.name: result.to_json() for result in self.sorted_results()},
            "seconds": round(self.seconds, 1),
            "report": None if self.report is None else str(self.report),
        }

    def to_table(self) -> str:
        """A table for people."""
        clean = ", ".join(f"{metric} {value:.4f}" for metric, value in self.clean().items())
        return "\n".join(
            [
                f"{self.dataset}, checkpoint of step {self.step}; clean: {clean}",
                "",
                tabulate(self._rows(), self._columns(), floatfmt=".4f", missingval="-"),
                "",
                "area: mean over all strengths (trapezoids over strength 0..1);",
                "relative: area / clean value, 1 where nothing is lost; full: at strength 1",
                self.queries_in_words(),
                self.coverage_in_words(),
                f"report: {self.report}",
            ]
        )

    def _columns(self) -> list[str]:
        short = [metric.removeprefix("instance/") for metric in METRICS]
        kinds = ("full", "area", "relative")
        return ["nuisance", *(f"{metric} {kind}" for metric in short for kind in kinds)]

    def _rows(self) -> list[list[Any]]:
        rows: list[list[Any]] = []
        for result in self.sorted_results():
            rows.append([result.name])
            for curve in (result.curves[metric] for metric in METRICS):
                rows[-1] += [curve.values[-1], curve.area, _finite(curve.relative_area)]
        return rows

    def queries_in_words(self) -> str:
        """How many queries the numbers rest on."""
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
        """How much of the raw dataset there was."""
        if not self.coverage:
            return "how much of the raw dataset there was is not known"
        return (
            f"of {self.coverage['expected']:,} photos in the raw dataset's lists, "
            f"{self.coverage['usable']:,} were usable"
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
