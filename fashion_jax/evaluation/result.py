"""Results of an evaluation, for programs and for people."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float
from msgspec import to_builtins
from tabulate import tabulate

from fashion_jax.evaluation.labelled_pairs import PairScores
from fashion_jax.evaluation.refinements import Refinements
from fashion_jax.evaluation.seen_in_training import SeenInTraining
from fashion_jax.metrics.confidence import Interval
from fashion_jax.metrics.measure import RetrievalMetrics
from fashion_jax.metrics.query_metrics import ACCURACY_RANKS
from fashion_jax.metrics.ranking import GroupMetrics, Ranking

_SHOWN = ("mAP", "mINP")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Results of a model on one dataset.

    Attributes:
        dataset: name of the dataset.
        step: training step of the checkpoint.
        photos: number of photos per split.
        rankings: per-query ranking results, by protocol.
        untrained: ranking results of the network before training, if measured.
        refined: ranking results with refined embeddings, if measured.
        refinements: refinements of the embeddings.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if unknown.
        seconds: duration of embedding and ranking.
        report: path of the page, once it is written.
        seen_in_training: test products that the model was trained on; None if unknown.
        labelled_pairs: scores of pairs that people labelled; None without any.
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
    seen_in_training: SeenInTraining | None = None
    labelled_pairs: PairScores | None = None

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the trained model, by `protocol/metric`."""
        return all_metrics(self.rankings)

    def intervals(self) -> dict[str, Interval]:
        """Return 95 % intervals of `metrics`, which take at least two measured products."""
        return {
            name: interval
            for ranking in measured_rankings(self.rankings).values()
            for name, interval in ranking.intervals().items()
            if np.isfinite(interval).all()
        }

    def per_query(self) -> dict[str, Float[np.ndarray, " queries"]]:
        """Return each metric for each query, as `RetrievalMetrics.per_query` does."""
        return RetrievalMetrics(measured_rankings(self.rankings), ACCURACY_RANKS).per_query()

    def unmeasured(self) -> list[str]:
        """Return a line for each protocol without a measurable query."""
        return [
            f"{name}: nothing to measure; queries skipped: {_reasons(ranking)}"
            for name, ranking in self.rankings.items()
            if not ranking.measured.any()
        ]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `--json`."""
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
            "seen_in_training": to_builtins(self.seen_in_training),
            "labelled_pairs": to_builtins(self.labelled_pairs),
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
                *(self.seen_in_training.lines() if self.seen_in_training else []),
                *([self.labelled_pairs.to_line()] if self.labelled_pairs else []),
                self._coverage(),
                f"report: {self.report}",
            ]
        )

    def _groups(
        self, divide: Callable[[Ranking], dict[str, GroupMetrics]]
    ) -> dict[str, dict[str, dict[str, int | float | None]]]:
        """Return metrics of groups of queries, by protocol; None for those without queries."""
        return {
            name: {group: each.to_json() for group, each in divide(ranking).items()}
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
            return "completeness of the raw dataset unknown"
        return (
            f"of {self.coverage['expected']} photos in the raw dataset's lists, "
            f"{self.coverage['usable']} were usable"
        )


@dataclasses.dataclass(frozen=True)
class Evaluations:
    """Results of a model on each of its datasets.

    Attributes:
        results: results in the order of the run's datasets; at least one.
    """

    results: list[Evaluation]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for `--json`: those of a single dataset, or of several by name."""
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
    """Return whether the table shows a metric; JSON and report have all of them."""
    metric = name.rpartition("/")[2]
    return metric in _SHOWN or metric.startswith("Acc@")


def measured_rankings(rankings: dict[str, Ranking]) -> dict[str, Ranking]:
    """Return the rankings with measurable queries; all of them if none has any.

    If a product is in the gallery under other categories only, `in_category` has nothing to
    measure, and `instance` still does. Without any measurable query, asking a ranking for its
    metrics raises an error.
    """
    return {name: each for name, each in rankings.items() if each.measured.any()} or rankings


def all_metrics(rankings: dict[str, Ranking]) -> dict[str, float]:
    """Return the metrics of all protocols that have measurable queries.

    Raises:
        NothingToMeasureError: no protocol has a measurable query.
    """
    measured = measured_rankings(rankings).values()
    return {name: value for ranking in measured for name, value in ranking.metrics().items()}
