"""What an evaluation found, for programs and for people."""

import dataclasses
import pathlib
from typing import Any

from tabulate import tabulate

from fashion_jax.evaluation.ranking import Ranking


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A model measured on one dataset.

    Attributes:
        dataset: name of the dataset.
        step: of the checkpoint.
        photos: per split.
        rankings: what became of each query, by protocol.
        untrained: the same of the network before training, if it was asked for.
        coverage: photos of the raw copy: expected, found, missing, ...; empty if not known.
        seconds: embedding and ranking took.
        report: the page, once it is written.
    """

    dataset: str
    step: int
    photos: dict[str, int]
    rankings: dict[str, Ranking]
    untrained: dict[str, Ranking] | None
    coverage: dict[str, int]
    seconds: float
    report: pathlib.Path | None = None

    def metrics(self) -> dict[str, float]:
        """All metrics of the trained model, by `protocol/metric`."""
        return all_metrics(self.rankings)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "dataset": self.dataset,
            "step": self.step,
            "photos": self.photos,
            "coverage": self.coverage,
            "metrics": self.metrics(),
            "untrained": None if self.untrained is None else all_metrics(self.untrained),
            "skipped_queries": {name: ranking.skipped() for name, ranking in self.rankings.items()},
            "seconds": round(self.seconds, 1),
            "report": None if self.report is None else str(self.report),
        }

    def to_table(self) -> str:
        """A table for people."""
        before = {} if self.untrained is None else all_metrics(self.untrained)
        columns = ["metric", "untrained", "trained"] if before else ["metric", "trained"]
        rows = [
            [name, *([before[name]] if before else []), value]
            for name, value in self.metrics().items()
        ]
        return "\n".join(
            [
                f"{self.dataset}, checkpoint of step {self.step}",
                "",
                tabulate(rows, columns, floatfmt=".4f"),
                "",
                self._queries(),
                self._coverage(),
                f"report: {self.report}",
            ]
        )

    def _queries(self) -> str:
        ranking = self.rankings["instance"]
        reasons = [f"{count} {reason}" for reason, count in ranking.skipped().items() if count]
        return (
            f"{int(ranking.measured.sum())} queries measured against {self.photos['gallery']} "
            f"gallery photos; queries skipped: {', '.join(reasons) or 'none'}"
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


def all_metrics(rankings: dict[str, Ranking]) -> dict[str, float]:
    """Metrics of several protocols in one dict."""
    return {
        name: value for ranking in rankings.values() for name, value in ranking.metrics().items()
    }
