"""The whole pipeline in a few minutes: drawn garments in; model, search and report out."""

import logging
import pathlib
import shutil
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fashion_jax.addresses import require_local
from fashion_jax.config import (
    CONFIG_FILE,
    ExperimentConfig,
    read_stored_config,
)
from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.dataset import Split, open_dataset, products_of
from fashion_jax.datasets.photos import decode_photo, thumbnail
from fashion_jax.evaluation.result import Evaluation
from fashion_jax.experiments.evaluate import evaluate_run
from fashion_jax.inference.model import load_model
from fashion_jax.reports.report import RankedAnswer, RankedList
from fashion_jax.retrieval.catalogue import Catalogue, Hit
from fashion_jax.serving.build_index import build_index, index_folder
from fashion_jax.training.loop import LOCK_FILE, sole_training, train

_SEARCHES = 4
_ANSWERS = 8

logger = logging.getLogger(__name__)


def run_demo(
    config: ExperimentConfig,
    workdir: str | pathlib.Path,
    report: str | pathlib.Path,
    progress: bool = True,
    **dataset_options: Any,
) -> Evaluation:
    """Build a dataset, train, index, search and evaluate; log each stage.

    An interrupted demo resumes; a finished one starts from the beginning.

    Args:
        config: the shipped config `demo`, or a smaller one for a test.
        workdir: workdir of the run.
        report: directory of `index.html`.
        progress: whether to show bars.
        **dataset_options: options of the dataset's builder, such as `train_identities`.

    Returns:
        Results of the evaluation, with the path of the report.
    """
    start = time.perf_counter()
    require_local(workdir, "--workdir")
    workdir, page = pathlib.Path(workdir), pathlib.Path(report) / "index.html"
    if _finished(workdir).exists() or _of_another_config(workdir, config):
        _empty(workdir)
    logger.info("[1/5] draw the garments and build the dataset")
    build(config.data.dataset, config.data.data_dir, progress=progress, **dataset_options)
    epochs = config.training.epochs
    logger.info("[2/5] train %s for %d epochs", config.model.backbone, epochs)
    train(config, workdir, progress=progress)
    logger.info("[3/5] embed the gallery into a ScaNN index")
    logger.info("%s", build_index(workdir, kind="scann", progress=progress).to_table())
    logger.info("[4/5] search with %d street photos", _SEARCHES)
    searches = search_street_photos(workdir, _SEARCHES)
    logger.info("[5/5] evaluate on unseen identities, before and after training")
    evaluation = evaluate_run(
        workdir, untrained=True, searches=searches, report=page, progress=progress
    )
    _finished(workdir).touch()
    logger.info("the demo took %.0f s", time.perf_counter() - start)
    return evaluation


def search_street_photos(workdir: str | pathlib.Path, count: int) -> list[RankedList]:
    """Search a run's catalogue with some of the test's street photos.

    Args:
        workdir: workdir of a run with a catalogue.
        count: number of photos, spread evenly over the queries.

    Returns:
        Ranked lists for the report.
    """
    model = load_model(workdir)
    catalogue = Catalogue.open(index_folder(workdir))
    built = open_dataset(model.config.data.dataset, model.config.data.data_dir)
    query = built.split("query")
    rows = np.linspace(0, len(query) - 1, count).astype(int).tolist()
    photos = [decode_photo(query.image_bytes(row)) for row in rows]
    answers = catalogue.search(model.embed(photos), _ANSWERS, model.card)
    return [
        _ranked_list(catalogue, query, row, hits) for row, hits in zip(rows, answers, strict=True)
    ]


def _ranked_list(catalogue: Catalogue, query: Split, row: int, hits: Sequence[Hit]) -> RankedList:
    (product,) = products_of(query, slice(row, row + 1))
    right = [hit.item.product == product for hit in hits]
    answers = [
        RankedAnswer(
            jpeg=catalogue.thumbnail(hit.row),
            caption=f"{hit.item.category} {hit.item.photo_id}",
            score=hit.score,
            right=is_right,
        )
        for hit, is_right in zip(hits, right, strict=True)
    ]
    return RankedList(
        query_jpeg=thumbnail(query.image_bytes(row)),
        caption=f"{query.category[row]} {query.photo_id[row]}",
        answers=answers,
        group="search",
        first_match_rank=right.index(True) + 1 if any(right) else None,
    )


def _of_another_config(workdir: pathlib.Path, config: ExperimentConfig) -> bool:
    stored = workdir / CONFIG_FILE
    return stored.exists() and read_stored_config(stored) != config


def _empty(workdir: pathlib.Path) -> None:
    """Remove an earlier demo's run, unless a process is training it."""
    with sole_training(workdir):
        for path in list(workdir.iterdir()):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK_FILE:
                path.unlink()


def _finished(workdir: pathlib.Path) -> pathlib.Path:
    return workdir / "demo_finished"
