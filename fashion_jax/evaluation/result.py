"""What an evaluation found, for programs and for people."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.evaluation.refinements import Refinements
from fashion_jax.metrics.confidence import Interval
from fashion_jax.metrics.ranking import GroupMetrics, Ranking

_SHOWN = ("mAP", "mINP")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A model measured on one dataset.

    Attributes:
        dataset: name of the dataset.
        step: of the checkpoint.
        photos: per split.
        rankings: per-query ranking results, by protocol.
        untrained: the same of the network before training, if it was asked for.
        refined: the same of the trained network's refined embeddings, if there are any.
        refinements: what was done with them.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if not known.
        seconds: embedding and ranking took.
        report: the page, once it is written.
    """

    dataset: str
    step: int
    photos: dict[str, int]
    rankings: dict[str, Ranking]
    untrained: dict[str, Ranking] | None
    refined: dict[str, Ranking] | None
    refinements: Refinements
    coverage: dict[str, int]
    seconds: float
    report: pathlib.Path | None = None

    def metrics(self) -> dict[str, float]:
        """All metrics of the trained model, by `protocol/metric`."""
        return all_metrics(self.rankings)

    def intervals(self) -> dict[str, Interval]:
        """95 % intervals of `metrics`; none where fewer than two products were measured."""
        return {
            name: interval
            for ranking in measured_rankings(self.rankings).values()
            for name, interval in ranking.intervals().items()
            if np.isfinite(interval).all()
        }

    def unmeasured(self) -> list[str]:
        """A line for each protocol that has nothing to measure here."""
        return [
            f"{name}: nothing to measure; queries skipped: {_reasons(ranking)}"
            for name, ranking in self.rankings.items()
            if not ranking.measured.any()
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "dataset": self.dataset,
            "step": self.step,
            "photos": self.photos,
            "coverage": self.coverage,
            "metrics": self.metrics(),
            "intervals": self.intervals(),
            "untrained": _metrics_or_none(self.untrained),
            "refined": _metrics_or_none(self.refined),
            "refinements": self.refinements.words() or None,
            "by_category": self._groups(Ranking.per_category),
            "by_domain": self._groups(Ranking.per_domain),
            "skipped_queries": {name: ranking.skipped() for name, ranking in self.rankings.items()},
            "seconds": round(self.seconds, 1),
            "report": None if self.report is None else str(self.report),
        }

    def to_table(self) -> str:
        """A table for people."""
        intervals = {
            name: f"{low:.4f}-{high:.4f}" for name, (low, high) in self.intervals().items()
        }
        columns: dict[str, Mapping[str, float | str]] = {
            "untrained": _metrics_or_none(self.untrained) or {},
            "trained": self.metrics(),
            "95 %": intervals,
            "refined": _metrics_or_none(self.refined) or {},
        }
        columns = {name: values for name, values in columns.items() if values}
        rows = [
            [name, *(values.get(name) for values in columns.values())]
            for name in self.metrics()
            if _is_shown(name)
        ]
        return "\n".join(
            [
                f"{self.dataset}, checkpoint of step {self.step}",
                "",
                tabulate(rows, ["metric", *columns], floatfmt=".4f"),
                "",
                *([f"refined: {self.refinements.words()}"] if self.refinements else []),
                self._queries(),
                *self.unmeasured(),
                self._coverage(),
                f"report: {self.report}",
            ]
        )

    def _groups(
        self, divided: Callable[[Ranking], dict[str, GroupMetrics]]
    ) -> dict[str, dict[str, dict[str, int | float | None]]]:
        """Metrics of the groups of queries, by protocol; None where none was measured."""
        return {
            name: {group: each.to_json() for group, each in divided(ranking).items()}
            for name, ranking in self.rankings.items()
        }

    def _queries(self) -> str:
        ranking = self.rankings["instance"]
        return (
            f"{int(ranking.measured.sum())} queries measured against {self.photos['gallery']} "
            f"gallery photos; queries skipped: {_reasons(ranking) or 'none'}"
        )

    def _coverage(self) -> str:
        if not self.coverage:
            return "how much of the raw dataset there was is not known"
        return (
            f"of {self.coverage['expected']} photos in the raw dataset's lists, "
            f"{self.coverage['usable']} were usable"
        )


@dataclasses.dataclass(frozen=True)
class Evaluations:
    """A model measured on each of its datasets, one or several.

    Attributes:
        results: in the order of the run's datasets; at least one.
    """

    results: list[Evaluation]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`: of a single dataset its own, of several by their names."""
        if len(self.results) == 1:
            return self.results[0].to_json()
        return {result.dataset: result.to_json() for result in self.results}

    def to_table(self) -> str:
        """A table for each dataset."""
        return "\n\n".join(result.to_table() for result in self.results)


def _reasons(ranking: Ranking) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in ranking.skipped().items() if count)


def _metrics_or_none(rankings: dict[str, Ranking] | None) -> dict[str, float] | None:
    return None if rankings is None else all_metrics(rankings)


def _is_shown(name: str) -> bool:
    """Whether the table has a metric; JSON and report have all of them."""
    metric = name.rpartition("/")[2]
    return metric in _SHOWN or metric.startswith("Acc@")


def measured_rankings(rankings: dict[str, Ranking]) -> dict[str, Ranking]:
    """Those by which any query was measured; all of them if there is no such protocol.

    A product may lie in the gallery under other categories only: then `in_category` has nothing
    to measure, which is no reason to have no `instance`. Without any protocol left, whoever asks
    for a metric hears of it.
    """
    return {name: each for name, each in rankings.items() if each.measured.any()} or rankings


def all_metrics(rankings: dict[str, Ranking]) -> dict[str, float]:
    """Metrics of several protocols in one dict; of those that have anything to measure.

    Raises:
        NothingToMeasureError: if there is no such protocol.
    """
    measured = measured_rankings(rankings).values()
    return {name: value for ranking in measured for name, value in ranking.metrics().items()}
