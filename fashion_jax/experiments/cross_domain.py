"""Cross-dataset evaluation: each run on each dataset (Wieczorek et al. 2020, arXiv:2003.04094).

Metrics on datasets that a model was not trained on show how well it generalises.
"""

import pathlib
import shlex
import time
from collections.abc import Sequence

from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.errors import keeping
from fashion_jax.evaluation.cross_domain_result import (
    Cell,
    CrossDomainResult,
    SearchedDataset,
    TrainedRun,
)
from fashion_jax.evaluation.embedded import TEST_SPLITS, embed_test
from fashion_jax.evaluation.environment import environment
from fashion_jax.evaluation.result import all_metrics
from fashion_jax.evaluation.seen_in_training import seen_in_training
from fashion_jax.experiments.cross_domain_inputs import OpenedRun, open_runs
from fashion_jax.files import atomic_write, to_json
from fashion_jax.inference.model import EmbeddingModel, load_model
from fashion_jax.reports.cross_domain_page import write_cross_domain_page

# Not index.html: the folder may hold a run's own report.
PAGE = "cross_domain.html"
NUMBERS = "cross_domain.json"


def cross_domain(
    runs: Sequence[str],
    datasets: Sequence[str],
    data_dir: str | None = None,
    report: str | pathlib.Path = "report",
    progress: bool = True,
) -> CrossDomainResult:
    """Measures every run's best model on the test products of every dataset.

    Each model is loaded once and embeds each dataset once. Writes `cross_domain.html` and
    `cross_domain.json`.

    Args:
        runs: directories of the runs.
        datasets: names of built datasets.
        data_dir: directory of built datasets; by default that of each run.
        report: directory for the page and the numbers.
        progress: whether to show bars.

    Raises:
        FashionJaxError: runs, checkpoints or datasets are missing or do not fit together; all of
            them are listed before anything is embedded.
    """
    start = time.perf_counter()
    opened = open_runs(runs, datasets, data_dir)
    rows = [_measure(run, progress) for run in opened]
    folder = pathlib.Path(report)
    result = CrossDomainResult(
        runs=[facts for facts, _ in rows],
        datasets=[_searched_dataset(built) for built in opened[0].datasets.values()],
        cells=[cell for _, cells in rows for cell in cells],
        seconds=round(time.perf_counter() - start, 1),
        report=str(folder / PAGE),
    )
    command = _command(opened, data_dir)
    with keeping(result, "the report"):
        atomic_write(folder / NUMBERS, to_json(result))
        write_cross_domain_page(folder / PAGE, result, command, environment(result.seconds))
    return result


def _measure(run: OpenedRun, progress: bool) -> tuple[TrainedRun, list[Cell]]:
    """Measures a row of the matrix, with one model in memory."""
    model = load_model(run.workdir)
    facts = TrainedRun(
        name=run.name,
        workdir=run.workdir,
        trained_on=run.config.data.datasets,
        backbone=model.card.backbone,
        image=(model.card.image_height, model.card.image_width),
        step=model.card.step,
    )
    return facts, [_cell(facts, model, built, progress) for built in run.datasets.values()]


def _cell(run: TrainedRun, model: EmbeddingModel, dataset: BuiltDataset, progress: bool) -> Cell:
    rankings = embed_test(model, dataset, progress).rank_all()
    return Cell(
        run=run.name,
        dataset=dataset.name,
        own=dataset.name in run.trained_on,
        metrics=all_metrics(rankings),
        measured={name: int(ranking.measured.sum()) for name, ranking in rankings.items()},
        skipped={name: ranking.skipped() for name, ranking in rankings.items()},
        seen_in_training=seen_in_training(run.workdir, dataset, run.name),
    )


def _searched_dataset(dataset: BuiltDataset) -> SearchedDataset:
    query, gallery = (dataset.split(name) for name in TEST_SPLITS)
    coverage = (dataset.build_report() or {}).get("photos", {})
    return SearchedDataset(dataset.name, dataset.version, len(query), len(gallery), dict(coverage))


def _command(runs: Sequence[OpenedRun], data_dir: str | None) -> str:
    words = [
        *("--runs", *(run.workdir for run in runs)),
        *("--datasets", *runs[0].datasets),
        *([f"--data_dir={data_dir}"] if data_dir else []),
    ]
    return shlex.join(["fashion-jax", "cross-domain", *words])
