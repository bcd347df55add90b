"""Evaluation of a run on test identities: numbers, and the report that shows them."""

import dataclasses
import os
import pathlib
import time
from collections.abc import Sequence

from fashion_jax.config import ExperimentConfig
from fashion_jax.datasets.dataset import BuiltDataset, open_dataset
from fashion_jax.evaluation.embedded import EmbeddedTest, embed_test
from fashion_jax.evaluation.refinements import Refinements, refined_scores
from fashion_jax.evaluation.result import Evaluation, Evaluations
from fashion_jax.experiments.report_of_run import report_data
from fashion_jax.inference.embed import Variables, mirrored
from fashion_jax.inference.trained_model import (
    TrainedModel,
    load_trained_model,
    read_run_config,
    untrained_variables,
)
from fashion_jax.metrics.protocol import PROTOCOLS
from fashion_jax.metrics.ranking import Ranking, rank
from fashion_jax.metrics.scores import RerankedScores, Scores
from fashion_jax.reports.report import RankedList, write_report
from fashion_jax.retrieval.k_reciprocal import Reciprocal

TEST_SPLITS = ("query", "gallery")
PROTOCOL_NAMES = ("instance", "in_category", "item", "centroid")


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
    model = load_trained_model(workdir)
    before = untrained_variables(config, model.mesh) if untrained else None
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
    model = load_trained_model(workdir)
    before = untrained_variables(model.config, model.mesh) if untrained else None
    task = _Task(
        workdir, data_dir, model, before, refinements or _of_config(model.config), progress
    )
    return Evaluations([_evaluate(task, built, (), None) for built in datasets])


def _of_config(config: ExperimentConfig) -> Refinements:
    """What a run's config asks for."""
    return Refinements(rerank=Reciprocal() if config.evaluation.rerank else None)


def open_test(name: str, data_dir: str | os.PathLike[str]) -> BuiltDataset:
    """Opens a built dataset with its test splits.

    Raises:
        FashionJaxError: if there is no such dataset, or it was built without them.
    """
    built = open_dataset(name, data_dir)
    for split in TEST_SPLITS:
        built.split(split)
    return built


def embed_dataset(
    model: TrainedModel,
    variables: Variables,
    dataset: BuiltDataset,
    progress: bool = True,
    mirror: bool = False,
) -> EmbeddedTest:
    """Embeds the test splits of a dataset with a run's network and some weights of it.

    Args:
        model: the network.
        variables: its weights.
        dataset: has the test splits.
        progress: whether to show a bar.
        mirror: embed the photos' mirror images.
    """
    config = model.config
    return embed_test(
        mirrored(model.encode) if mirror else model.encode,
        variables,
        dataset,
        TEST_SPLITS,
        config.image,
        config.evaluation.batch_size,
        config.data,
        model.mesh,
        progress,
    )


def rank_by_all_protocols(test: EmbeddedTest, scores: Scores | None = None) -> dict[str, Ranking]:
    """What became of each query, by protocol.

    Args:
        test: the queries and the gallery.
        scores: refined ones in the place of the embeddings' own. Of distances between photos there
            are no centroids: their protocol is left out.
    """
    if scores is None:
        return {name: test.rank(name) for name in PROTOCOL_NAMES}
    names = [
        name
        for name in PROTOCOL_NAMES
        if not (isinstance(scores, RerankedScores) and PROTOCOLS[name].unit == "centroid")
    ]
    return {name: rank(scores, *test.labels(), name) for name in names}


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is measured, on each dataset.

    Attributes:
        workdir: of the run.
        data_dir: where the datasets lie, if not where the run's config says.
        model: of the run.
        before: weights before training, if they are measured, too.
        refinements: of the embeddings.
        progress: whether to show bars.
    """

    workdir: str | pathlib.Path
    data_dir: str | None
    model: TrainedModel
    before: Variables | None
    refinements: Refinements
    progress: bool

    def embed(self, variables: Variables, built: BuiltDataset, mirror: bool) -> EmbeddedTest:
        return embed_dataset(self.model, variables, built, self.progress, mirror)

    def refine(self, test: EmbeddedTest, built: BuiltDataset) -> Scores | None:
        """Scores of refined embeddings, if anything is switched on."""
        if not self.refinements:
            return None
        if self.refinements.flip:
            test = test.averaged_with(self.embed(self.model.variables, built, mirror=True))
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
    test = task.embed(model.variables, built, mirror=False)
    rankings = rank_by_all_protocols(test)
    untrained = refined = None
    if task.before is not None:
        untrained = rank_by_all_protocols(task.embed(task.before, built, mirror=False))
    scores = task.refine(test, built)
    if scores is not None:
        refined = rank_by_all_protocols(test, scores)
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
