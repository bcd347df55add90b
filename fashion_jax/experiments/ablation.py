"""Runs the variants of a sweep with several seeds, and compares each with the one it builds on."""

import dataclasses
import itertools
import logging
import pathlib
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tabulate import tabulate

from fashion_jax.addresses import at_addresses
from fashion_jax.config import Experiment, ExperimentConfig
from fashion_jax.errors import named
from fashion_jax.evaluation.embedded import embed_test, open_test
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.evaluation.result import all_metrics
from fashion_jax.files import StorageError, atomic_write, read_json, to_json
from fashion_jax.inference.model import load_model
from fashion_jax.parallel.hosts import sole_job
from fashion_jax.retrieval.index import EmbeddingError
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig
from fashion_jax.training.loop import NonFiniteLossError, train
from fashion_jax.training.metrics_log import read_metrics

logger = logging.getLogger(__name__)

RESULT_FILE = "result.json"  # of each run
JSON_FILE, TABLE_FILE, LOCK_FILE = "ablation.json", "ablation.md", ".ablation.lock"
SHOWN = ("instance/mAP", "instance/Acc@1", "instance/Acc@20", "in_category/mAP")
CHANGE_OF = "instance/mAP"
MINUTES = "minutes"
FAILED = "failed"

Result = Mapping[str, Any]  # metrics and minutes of training, or the reason of a failure


@dataclasses.dataclass(frozen=True)
class AblationResult:
    """Results of all runs of an ablation.

    Attributes:
        variants: variants, in the order of the sweep.
        runs: results by variant, one per seed: metrics and `minutes` of training, or `failed`, the
            reason of a failure.
    """

    variants: Sequence[Experiment]
    runs: Mapping[str, list[Result]]

    def to_json(self) -> dict[str, object]:
        """Return plain values, by variant."""
        return {
            variant.name: {"on": variant.on, "runs": list(self.runs[variant.name])}
            for variant in self.variants
        }

    def to_table(self) -> str:
        """Mean ± standard deviation over seeds, and the change from the variant below."""
        headers = ["variant", "on", "seeds", *SHOWN, f"change of {CHANGE_OF}", "train [min]"]
        return tabulate(
            [self._row(variant) for variant in self.variants if self.runs[variant.name]],
            headers,
            tablefmt="github",
            disable_numparse=True,
        )

    def _row(self, variant: Experiment) -> list[str]:
        runs = self.runs[variant.name]
        finished = [run for run in runs if FAILED not in run]
        seeds = f"{len(runs)}" if len(finished) == len(runs) else f"{len(finished)} of {len(runs)}"
        row = [variant.name, variant.on or "", seeds]
        if not finished:
            return [*row, *[FAILED] * len(SHOWN), "", ""]
        return [
            *row,
            *(mean_and_deviation([run[name] for run in finished]) for name in SHOWN),
            self._change(variant),
            f"{np.mean([run[MINUTES] for run in finished]):.1f}",
        ]

    def _change(self, variant: Experiment) -> str:
        """Mean change over the seeds that both variants have."""
        if variant.on is None:
            return ""
        pairs = list(zip(self.runs[variant.name], self.runs[variant.on], strict=False))
        changes = [
            above[CHANGE_OF] - below[CHANGE_OF]
            for above, below in pairs
            if FAILED not in above and FAILED not in below
        ]
        return f"{np.mean(changes):+.4f}" if changes else ""


def mean_and_deviation(values: Sequence[float]) -> str:
    """Format `mean ± s`, s the sample standard deviation (n − 1); a single value alone."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{np.mean(values):.4f} ± {np.std(values, ddof=1):.4f}"


@at_addresses("workdir")
def run_ablation(
    variants: Sequence[Experiment], seeds: int, workdir: str | pathlib.Path, progress: bool = True
) -> AblationResult:
    """Trains and measures all unfinished runs; writes `ablation.json` and `ablation.md`.

    Runs go seed by seed, so that every variant has a first result early. An interrupted ablation
    resumes, in the middle of a run if need be. A variant that changes only the evaluation, such as
    `evaluation.rerank`, measures the model of the variant that it builds on.

    Args:
        variants: variants with their configs, from `load_sweep`.
        seeds: number of runs of each variant; seeds 0, 1, ... are added to the config's own.
        workdir: directory for the runs, one folder each: `VARIANT/seed_N`.
        progress: whether to show bars.

    Raises:
        InUseError: another process runs an ablation in the directory, or trains one of its runs.
    """
    workdir = pathlib.Path(workdir)
    result = AblationResult(variants, {variant.name: [] for variant in variants})
    with sole_job(workdir / LOCK_FILE, f"running the ablation in {workdir.resolve()}"):
        for seed in range(seeds):
            for variant in variants:
                _run_variant(result, variant, seed, workdir, progress)
    return result


def _run_variant(
    result: AblationResult, variant: Experiment, seed: int, workdir: pathlib.Path, progress: bool
) -> None:
    number = variant.config.training.seed + seed
    logger.info("variant %r, seed %d", variant.name, number)
    folder = workdir / variant.folder / f"seed_{number}"
    model = workdir / _trained_variant(variant, result.variants).folder / f"seed_{number}"
    config = with_seed(variant.config, number)
    result.runs[variant.name].append(_run(config, folder, model, progress))
    atomic_write(workdir / JSON_FILE, to_json(result.to_json()))
    atomic_write(workdir / TABLE_FILE, (result.to_table() + "\n").encode())


def _trained_variant(variant: Experiment, variants: Sequence[Experiment]) -> Experiment:
    """Return the variant whose model is measured: the one below if only the evaluation differs."""
    below = next((each for each in variants if each.name == variant.on), None)
    if below is None:
        return variant
    as_below = dataclasses.replace(variant.config, evaluation=below.config.evaluation)
    return _trained_variant(below, variants) if as_below == below.config else variant


def with_seed(config: ExperimentConfig, seed: int) -> ExperimentConfig:
    """Return the same experiment with another seed."""
    training = dataclasses.replace(config.training, seed=seed)
    return dataclasses.replace(config, training=training)


def _run(
    config: ExperimentConfig, folder: pathlib.Path, model: pathlib.Path, progress: bool
) -> Result:
    """Trains and measures, unless the result is stored already.

    Args:
        config: config of the run.
        folder: folder for the result.
        model: workdir of the model, which is that of another variant if only the evaluation
            differs.
        progress: whether to show bars.
    """
    stored = folder / RESULT_FILE
    if stored.exists():
        return _stored_result(folder)
    result = None if model == folder else _failure(model)
    if result is None:
        result = _train_and_measure(config, model, model == folder, progress)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(stored, to_json(result))
    return result


def _failure(workdir: pathlib.Path) -> Result | None:
    """Return a run's result if the run failed."""
    result = _stored_result(workdir)
    return result if FAILED in result else None


def _stored_result(folder: pathlib.Path) -> Result:
    """Read a run's result.

    Raises:
        StorageError: it is missing or damaged.
    """
    path, mend = folder / RESULT_FILE, "Remove it, and run the ablation again"
    kind = dict[str, float | str]
    result = read_json(path, kind, None, "a finished run", any_number=True, mend=mend)
    missing = () if FAILED in result else {*SHOWN, MINUTES} - result.keys()
    texts = [name for name, value in result.items() if isinstance(value, str) != (name == FAILED)]
    if missing or texts:
        raise StorageError(
            f"{path} is damaged: missing {named(sorted(missing)) or 'nothing'}; of a wrong type "
            f"{named(texts) or 'nothing'}. {mend}"
        )
    return result


def _train_and_measure(
    config: ExperimentConfig, workdir: pathlib.Path, untrained: bool, progress: bool
) -> Result:
    """Return the metrics, or the reason of a run that diverged or collapsed."""
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
