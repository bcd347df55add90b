"""Evaluation of a run on test identities: metrics, and a report of them."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence

from fashion_jax.addresses import at_addresses
from fashion_jax.config import ExperimentConfig
from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.datasets.duplicates.decisions import Decision, read_decisions
from fashion_jax.errors import UnwrittenResultError, keeping
from fashion_jax.evaluation.embedded import EmbeddedTest, embed_test, open_test
from fashion_jax.evaluation.labelled_pairs import score_pairs
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.evaluation.result import Evaluation, Evaluations
from fashion_jax.evaluation.seen_in_training import seen_in_training
from fashion_jax.experiments.run_report import run_report_data
from fashion_jax.inference.model import (
    EmbeddingModel,
    initial_model,
    load_model,
    read_run_config,
)
from fashion_jax.metrics.scores import Scores
from fashion_jax.reports.report import RankedList, write_report
from fashion_jax.retrieval.k_reciprocal import KReciprocalConfig


@at_addresses("workdir", must_exist=("workdir",))
def evaluate_run(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    untrained: bool = False,
    searches: Sequence[RankedList] = (),
    report: str | pathlib.Path | None = None,
    progress: bool = True,
    refinements: Refinements | None = None,
    labelled_pairs: Sequence[str | os.PathLike[str]] = (),
    explain: bool = False,
) -> Evaluation:
    """Measures a run's best model on the queries and gallery of one built dataset.

    Args:
        workdir: workdir of the run.
        dataset: name of a built dataset; by default the run's first.
        data_dir: directory of built datasets; by default the run's.
        untrained: also measure the network before training.
        searches: answers of an index, for the report.
        report: path of the page; by default `report/index.html` in the workdir, or
            `report/DATASET/index.html` for a dataset other than the run's only one.
        progress: whether to show bars.
        refinements: refinements to measure alongside the plain embeddings; by default those of the
            config.
        labelled_pairs: lists of pairs of photos that people labelled, to be scored: marks of the
            search page, or decisions of `data duplicates`.
        explain: colour what makes the best and the worst queries' first answers similar, in the
            report.

    Raises:
        FashionJaxError: no run, checkpoint or dataset, or no measurable query.
    """
    config = read_run_config(workdir)
    built = open_test(dataset or config.data.dataset, data_dir or config.data.data_dir)
    model = load_model(workdir)
    before = initial_model(config, model.mesh) if untrained else None
    pairs = read_decisions(map(pathlib.Path, labelled_pairs))
    refinements = refinements or _of_config(config)
    task = _Task(workdir, data_dir, model, before, refinements, pairs, progress, explain)
    return _evaluate(task, built, searches, report)


@at_addresses("workdir", must_exist=("workdir",))
def evaluate_datasets(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    untrained: bool = False,
    progress: bool = True,
    refinements: Refinements | None = None,
    labelled_pairs: Sequence[str | os.PathLike[str]] = (),
    explain: bool = False,
) -> Evaluations:
    """Measures a run's best model on each of its datasets, or on another dataset.

    Args:
        workdir: workdir of the run.
        dataset: name of a built dataset; by default all that the run was trained on.
        data_dir: directory of built datasets; by default the run's.
        untrained: also measure the network before training.
        progress: whether to show bars.
        refinements: refinements to measure alongside the plain embeddings; by default those of the
            config.
        labelled_pairs: lists of pairs of photos that people labelled, to be scored: marks of the
            search page, or decisions of `data duplicates`.
        explain: colour what makes the best and the worst queries' first answers similar, in the
            report.

    Returns:
        Results of the datasets, each with its own report; see `evaluate_run`.

    Raises:
        FashionJaxError: no run, checkpoint or dataset, or no measurable query.
    """
    data = read_run_config(workdir).data
    names = (dataset,) if dataset else data.datasets
    datasets = [open_test(name, data_dir or data.data_dir) for name in names]
    model = load_model(workdir)
    before = initial_model(model.config, model.mesh) if untrained else None
    pairs = read_decisions(map(pathlib.Path, labelled_pairs))
    refinements = refinements or _of_config(model.config)
    task = _Task(workdir, data_dir, model, before, refinements, pairs, progress, explain)
    return Evaluations(_evaluate_all(task, datasets))


def _evaluate_all(task: "_Task", datasets: Sequence[BuiltDataset]) -> list[Evaluation]:
    done: list[Evaluation] = []
    for built in datasets:
        try:
            done.append(_evaluate(task, built, (), None))
        except UnwrittenResultError as error:  # its report; the metrics before it count as well
            results = Evaluations([*done, *error.result.results])
            raise UnwrittenResultError(results, str(error)) from error
    return done


def _of_config(config: ExperimentConfig) -> Refinements:
    """Return the refinements of a config."""
    return Refinements(rerank=KReciprocalConfig() if config.evaluation.rerank else None)


@dataclasses.dataclass(frozen=True)
class _Task:
    """Options shared by the evaluations on each dataset.

    Attributes:
        workdir: workdir of the run.
        data_dir: directory of built datasets; None for the run's.
        model: model of the run.
        before: model before training, if measured.
        refinements: refinements of the embeddings.
        pairs: labelled pairs.
        progress: whether to show bars.
        explain: whether the report explains answers.
    """

    workdir: str | pathlib.Path
    data_dir: str | None
    model: EmbeddingModel
    before: EmbeddingModel | None
    refinements: Refinements
    pairs: Sequence[Decision]
    progress: bool
    explain: bool

    def refine(self, test: EmbeddedTest, built: BuiltDataset) -> Scores | None:
        """Return scores of refined embeddings, if any refinement is on."""
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
    """Measures the model on one dataset, with all requested comparisons, and writes its report."""
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
        seen_in_training=seen_in_training(task.workdir, built),
        labelled_pairs=score_pairs(test, task.pairs) if task.pairs else None,
    )
    own = model.config.data.datasets
    page = pathlib.Path(report or report_folder(task.workdir, built.name, own) / "index.html")
    with keeping(Evaluations([evaluation]), "the report"):
        parts = task.workdir, model, built, test, evaluation, searches, scores
        data = run_report_data(*parts, task.data_dir, task.explain)
        write_report(page, data)
    return dataclasses.replace(evaluation, report=page)


def report_folder(workdir: str | pathlib.Path, dataset: str, own: tuple[str, ...]) -> pathlib.Path:
    """Return the folder of a dataset's report: `report` if it is the run's only dataset.

    For any other dataset, it is `report/DATASET`.

    Args:
        workdir: workdir of the run.
        dataset: name of the measured dataset.
        own: names of all datasets that the run was trained on.
    """
    folder = pathlib.Path(workdir) / "report"
    return folder if (dataset,) == own else folder / dataset
