"""Evaluation of a run on test identities: numbers, and the report that shows them."""

import dataclasses
import pathlib
import time
from collections.abc import Sequence

from fashion_jax.data.dataset import BuiltDataset, open_dataset
from fashion_jax.evaluation.embedded import EmbeddedTest, embed_test
from fashion_jax.evaluation.ranking import Ranking
from fashion_jax.evaluation.report import RankedList, write_report
from fashion_jax.evaluation.report_of_run import report_data
from fashion_jax.evaluation.result import Evaluation
from fashion_jax.retrieval.embed import Variables
from fashion_jax.training.trained_model import (
    TrainedModel,
    load_trained_model,
    untrained_variables,
)

TEST_SPLITS = ("query", "gallery")
PROTOCOL_NAMES = ("instance", "in_category")


def evaluate_run(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    untrained: bool = False,
    searches: Sequence[RankedList] = (),
    report: str | pathlib.Path | None = None,
    progress: bool = True,
) -> Evaluation:
    """Measures a run's best model on the queries and gallery of a built dataset.

    Args:
        workdir: of the run.
        dataset: another one than the run's own.
        data_dir: where it lies; by default the run's.
        untrained: measure the network that the run started from, too.
        searches: answers of an index, to be shown in the report.
        report: where the page goes; by default `report/index.html` in the workdir, or
            `report/DATASET/index.html` for another dataset than the run's own.
        progress: whether to show bars.

    Raises:
        FashionJaxError: if there is no run, no checkpoint, no dataset, or nothing to measure.
    """
    model = load_trained_model(workdir)
    own = model.config.data.dataset
    built = open_dataset(dataset or own, data_dir or model.config.data.data_dir)
    start = time.perf_counter()
    test = _embed(model, model.variables, built, progress)
    before = None
    if untrained:
        weights = untrained_variables(model.config, model.mesh)
        before = _rank(_embed(model, weights, built, progress))
    evaluation = Evaluation(
        dataset=built.name,
        step=model.card.step,
        photos={name: len(built.split(name)) for name in built.splits},
        rankings=_rank(test),
        untrained=before,
        coverage=dict((built.build_report() or {}).get("photos", {})),
        seconds=time.perf_counter() - start,
    )
    page = _page(workdir, built.name, own) if report is None else pathlib.Path(report)
    write_report(page, report_data(workdir, model, built, test, evaluation, searches))
    return dataclasses.replace(evaluation, report=page)


def _page(workdir: str | pathlib.Path, dataset: str, own: str) -> pathlib.Path:
    folder = pathlib.Path(workdir) / "report"
    return (folder if dataset == own else folder / dataset) / "index.html"


def _embed(
    model: TrainedModel, variables: Variables, dataset: BuiltDataset, progress: bool
) -> EmbeddedTest:
    config = model.config
    return embed_test(
        model.encode,
        variables,
        dataset,
        TEST_SPLITS,
        config.image,
        config.evaluation.batch_size,
        config.data,
        model.mesh,
        progress,
    )


def _rank(test: EmbeddedTest) -> dict[str, Ranking]:
    return {name: test.rank(name) for name in PROTOCOL_NAMES}
