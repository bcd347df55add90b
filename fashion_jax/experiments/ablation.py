"""Runs a ladder: every rung with every seed, and what each rung brings."""

import dataclasses
import itertools
import json
import logging
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.config import Experiment, ExperimentConfig
from fashion_jax.evaluation.embedded import embed_test, open_test
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.evaluation.result import all_metrics
from fashion_jax.files import atomic_write
from fashion_jax.inference.model import load_model
from fashion_jax.retrieval.index import EmbeddingError
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
from fashion_jax.training.loop import NonFiniteLossError, train
from fashion_jax.training.metrics_log import read_metrics

logger = logging.getLogger(__name__)

RESULT_FILE = "result.json"
SHOWN = ("instance/mAP", "instance/Acc@1", "instance/Acc@20", "in_category/mAP")
CHANGE_OF = "instance/mAP"
MINUTES = "minutes"
FAILED = "failed"

Result = Mapping[str, Any]  # metrics, and minutes of training; or why it failed


@dataclasses.dataclass(frozen=True)
class LadderResult:
    """What the runs of a ladder brought.

    Attributes:
        rungs: in the order of the ladder.
        runs: of each rung by name, one result a seed: metrics and `minutes` of training, or
            `failed`, the reason why there are none.
    """

    rungs: Sequence[Experiment]
    runs: Mapping[str, Sequence[Result]]

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            rung.name: {"on": rung.on, "runs": list(self.runs[rung.name])} for rung in self.rungs
        }

    def to_table(self) -> str:
        """Mean ± standard deviation over seeds, and what a rung adds to the one below it."""
        headers = ["rung", "on", "seeds", *SHOWN, f"change of {CHANGE_OF}", "train [min]"]
        return tabulate(
            [self._row(rung) for rung in self.rungs if self.runs[rung.name]],
            headers,
            tablefmt="github",
            disable_numparse=True,
        )

    def _row(self, rung: Experiment) -> list[str]:
        runs = self.runs[rung.name]
        whole = [run for run in runs if FAILED not in run]
        seeds = f"{len(runs)}" if len(whole) == len(runs) else f"{len(whole)} of {len(runs)}"
        row = [rung.name, rung.on or "", seeds]
        if not whole:
            return [*row, *[FAILED] * len(SHOWN), "", ""]
        return [
            *row,
            *(mean_and_deviation([run[name] for run in whole]) for name in SHOWN),
            self._change(rung),
            f"{np.mean([run[MINUTES] for run in whole]):.1f}",
        ]

    def _change(self, rung: Experiment) -> str:
        """Of the mean over the seeds that both rungs have."""
        if rung.on is None:
            return ""
        pairs = list(zip(self.runs[rung.name], self.runs[rung.on], strict=False))
        changes = [
            above[CHANGE_OF] - below[CHANGE_OF]
            for above, below in pairs
            if FAILED not in above and FAILED not in below
        ]
        return f"{np.mean(changes):+.4f}" if changes else ""


def mean_and_deviation(values: Sequence[float]) -> str:
    """`mean ± s`, s the standard deviation of a sample (divided by n − 1); of one value, itself."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


def run_ladder(
    rungs: Sequence[Experiment], seeds: int, workdir: str | pathlib.Path, progress: bool = True
) -> LadderResult:
    """Trains and measures what is not done yet; writes `ladder.json` and `ladder.md`.

    Seed after seed, so that every rung has a first result early. A ladder that was interrupted
    goes on where it stopped, in the middle of a run too. A rung that changes nothing but how is
    measured, such as `evaluation.rerank`, measures the model of the rung below.

    Args:
        rungs: of the ladder.
        seeds: runs of each rung, with seeds 0, 1, ... added to the config's own.
        workdir: each run has a folder in it, `RUNG/seed_N`.
        progress: whether to show bars.
    """
    workdir = pathlib.Path(workdir)
    runs: dict[str, list[Result]] = {rung.name: [] for rung in rungs}
    for seed in range(seeds):
        for rung in rungs:
            number = rung.config.training.seed + seed
            logger.info("rung %r, seed %d", rung.name, number)
            folder = workdir / rung.folder / f"seed_{number}"
            trained = workdir / _trains(rung, rungs).folder / f"seed_{number}"
            config = with_seed(rung.config, number)
            runs[rung.name].append(_run(config, folder, trained, progress))
            result = LadderResult(rungs, runs)
            atomic_write(workdir / "ladder.json", json.dumps(result.to_json(), indent=2).encode())
            atomic_write(workdir / "ladder.md", (result.to_table() + "\n").encode())
    return LadderResult(rungs, runs)


def _trains(rung: Experiment, rungs: Sequence[Experiment]) -> Experiment:
    """The rung whose model is measured: the one below, if only the measuring differs."""
    below = next((each for each in rungs if each.name == rung.on), None)
    if below is None:
        return rung
    as_below = dataclasses.replace(rung.config, evaluation=below.config.evaluation)
    return _trains(below, rungs) if as_below == below.config else rung


def with_seed(config: ExperimentConfig, seed: int) -> ExperimentConfig:
    """The same experiment with another seed."""
    training = dataclasses.replace(config.training, seed=seed)
    return dataclasses.replace(config, training=training)


def _run(
    config: ExperimentConfig, workdir: pathlib.Path, trained: pathlib.Path, progress: bool
) -> Result:
    """Trains and measures, unless that was done before.

    Args:
        config: of the rung.
        workdir: for the result.
        trained: for the model, or that of the rung below, which is measured otherwise then.
        progress: whether to show bars.
    """
    stored = workdir / RESULT_FILE
    if stored.exists():
        return json.loads(stored.read_text())
    result = None if trained == workdir else _failure(trained)
    if result is None:
        result = _train_and_measure(config, trained, trained == workdir, progress)
    workdir.mkdir(parents=True, exist_ok=True)
    atomic_write(stored, json.dumps(result, indent=2).encode())
    return result


def _failure(trained: pathlib.Path) -> Result | None:
    result = json.loads((trained / RESULT_FILE).read_text())
    return result if FAILED in result else None


def _train_and_measure(
    config: ExperimentConfig, workdir: pathlib.Path, untrained: bool, progress: bool
) -> Result:
    """The metrics; or, of a run that blew up or collapsed, the reason."""
    built = open_test(config.data.dataset, config.data.data_dir)
    try:
        if untrained:
            train(config, workdir, progress=progress)
        model = load_model(workdir)
        test = embed_test(model, built, progress)
        scores = None
        if config.evaluation.rerank:
            chosen = Refinements(rerank=KReciprocalConfig())
            scores = refined_scores(test.queries_qd, test.gallery_gd, chosen, progress)
        metrics = all_metrics(test.rank_all(scores))
        return metrics | {MINUTES: training_minutes(workdir)}
    except (NonFiniteLossError, EmbeddingError) as error:
        logger.warning("%s failed: %s", workdir, error)
        return {FAILED: str(error)}


def training_minutes(workdir: pathlib.Path) -> float:
    """Median time of a step times their number: without compilation, validation and breaks."""
    lines = [line for line in read_metrics(workdir) if "time" in line]
    pairs = itertools.pairwise(lines)
    each = [(b["time"] - a["time"]) / (b["step"] - a["step"]) for a, b in pairs]
    return statistics.median(each) * lines[-1]["step"] / 60 if each else 0.0
