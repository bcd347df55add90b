"""Evaluation of a run on test identities: numbers, and the report that shows them."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence

from fashion_jax.config import ExperimentConfig
from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.evaluation.embedded import EmbeddedTest, embed_test, open_test
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.evaluation.result import Evaluation, Evaluations
from fashion_jax.experiments.report_of_run import report_data
from fashion_jax.inference.model import (
    EmbeddingModel,
    initial_model,
    load_model,
    read_run_config,
)
from fashion_jax.metrics.scores import Scores
from fashion_jax.reports.report import RankedList, write_report
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig


def evaluate_run(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    untrained: bool = False,
    searches: Sequence[RankedList] = (),
    report: str | pathlib.Path | None = None,
    progress: bool = True,
    refinements: Refinements | None = None,
) -> Evaluation:
    """Measures a run's best model on the queries and gallery of one built dataset.

    Args:
        workdir: of the run.
        dataset: another one than the run's own, or than the first of its own.
        data_dir: where it lies; by default the run's.
        untrained: measure the network that the run started from, too.
        searches: answers of an index, to be shown in the report.
        report: where the page goes; by default `report/index.html` in the workdir, or
            `report/DATASET/index.html` for another dataset than the run's own, and wherever the
            run has several.
        progress: whether to show bars.
        refinements: what to do with the embeddings; measured beside the embeddings as they are.

    Raises:
        FashionJaxError: if there is no run, no checkpoint, no dataset, or nothing to measure.
    """
    config = read_run_config(workdir)
    built = open_test(dataset or config.data.dataset, data_dir or config.data.data_dir)
    model = load_model(workdir)
    before = initial_model(config, model.mesh) if untrained else None
    task = _Task(workdir, data_dir, model, before, refinements or _of_config(config), progress)
    return _evaluate(task, built, searches, report)


def evaluate_datasets(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    untrained: bool = False,
    progress: bool = True,
    refinements: Refinements | None = None,
) -> Evaluations:
    """Measures a run's best model on each of its datasets on its own, or on another one.

    Args:
        workdir: of the run.
        dataset: the only one to be measured; by default all that the run was trained on.
        data_dir: where they lie; by default the run's.
        untrained: measure the network that the run started from, too.
        progress: whether to show bars.
        refinements: what to do with the embeddings; measured beside the embeddings as they are.

    Returns:
        The datasets' results, each with a report of its own; see `evaluate_run`.

    Raises:
        FashionJaxError: if there is no run, no checkpoint, no dataset, or nothing to measure.
    """
    data = read_run_config(workdir).data
    names = (dataset,) if dataset else data.datasets
    datasets = [open_test(name, data_dir or data.data_dir) for name in names]
    model = load_model(workdir)
    before = initial_model(model.config, model.mesh) if untrained else None
    task = _Task(
        workdir, data_dir, model, before, refinements or _of_config(model.config), progress
    )
    return Evaluations([_evaluate(task, built, (), None) for built in datasets])


def _of_config(config: ExperimentConfig) -> Refinements:
    """What a run's config asks for."""
    return Refinements(rerank=KReciprocalConfig() if config.evaluation.rerank else None)


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is measured, on each dataset.

    Attributes:
        workdir: of the run.
        data_dir: where the datasets lie, if not where the run's config says.
        model: of the run.
        before: the model that training started from, if it is measured as well.
        refinements: of the embeddings.
        progress: whether to show bars.
    """

    workdir: str | pathlib.Path
    data_dir: str | None
    model: EmbeddingModel
    before: EmbeddingModel | None
    refinements: Refinements
    progress: bool

    def refine(self, test: EmbeddedTest, built: BuiltDataset) -> Scores | None:
        """Scores of refined embeddings, if anything is switched on."""
        if not self.refinements:
            return None
        if self.refinements.flip:
            test = test.averaged_with(embed_test(self.model.mirrored(), built, self.progress))
        return refined_scores(test.queries_qd, test.gallery_gd, self.refinements, self.progress)


def _evaluate(
    task: _Task,
    built: BuiltDataset,
    searches: Sequence[RankedList],
    report: str | pathlib.Path | None,
) -> Evaluation:
    """Measures on one dataset the trained weights and whatever else was asked for."""
    start = time.perf_counter()
    model = task.model
    test = embed_test(model, built, task.progress)
    rankings = test.rank_all()
    untrained = refined = None
    if task.before is not None:
        untrained = embed_test(task.before, built, task.progress).rank_all()
    scores = task.refine(test, built)
    if scores is not None:
        refined = test.rank_all(scores)
    evaluation = Evaluation(
        dataset=built.name,
        step=model.card.step,
        photos={name: len(built.split(name)) for name in built.splits},
        rankings=rankings,
        untrained=untrained,
        refined=refined,
        refinements=task.refinements,
        coverage=dict((built.build_report() or {}).get("photos", {})),
        seconds=time.perf_counter() - start,
    )
    own = model.config.data.datasets
    page = pathlib.Path(report or report_folder(task.workdir, built.name, own) / "index.html")
    data = report_data(
        task.workdir, model, built, test, evaluation, searches, scores, task.data_dir
    )
    write_report(page, data)
    return dataclasses.replace(evaluation, report=page)


def report_folder(workdir: str | pathlib.Path, dataset: str, own: tuple[str, ...]) -> pathlib.Path:
    """Where a run's reports on a dataset go: `report`, or `report/DATASET` if it has others.

    Args:
        workdir: of the run.
        dataset: that was measured.
        own: all datasets that the run was trained on.
    """
    folder = pathlib.Path(workdir) / "report"
    return folder if (dataset,) == own else folder / dataset
