"""Collects the content of a run's report."""

import dataclasses
import logging
import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from fashion_jax.addresses import address_of
from fashion_jax.config import to_nested_dict
from fashion_jax.datasets.dataset import BuiltDataset, Split
from fashion_jax.datasets.photos import decode_photo, encode_jpeg, thumbnail
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.embedded import EmbeddedTest
from fashion_jax.evaluation.environment import environment
from fashion_jax.evaluation.result import Evaluation, all_metrics, measured_rankings
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.explain import explain_similarity, overlay
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.metrics.protocol import ignored
from fashion_jax.metrics.ranking import Ranking
from fashion_jax.metrics.scores import EmbeddingScores, Scores
from fashion_jax.metrics.suspected_label_errors import find_suspected_label_errors
from fashion_jax.reports.embedding_map import embedding_map
from fashion_jax.reports.report import (
    CategoryResult,
    DatasetFacts,
    MapTile,
    RankedAnswer,
    RankedList,
    ReportData,
    SuspectPair,
)
from fashion_jax.retrieval.catalogue.tuning_file import read_tunings
from fashion_jax.retrieval.scann_tuning import Tuning
from fashion_jax.training.metrics_log import read_metrics

_LISTS_PER_GROUP = 4
_ANSWERS = 8
_EXPLAINED = ("best", "worst")
_CMC_RANKS = 50
_SUSPECTS = 12
_TILE = 72  # pixels on the longer side of a photo on the map
_INDEX = "index"  # folder of the catalogue in a workdir

logger = logging.getLogger(__name__)


def run_report_data(
    workdir: str | pathlib.Path,
    model: EmbeddingModel,
    dataset: BuiltDataset,
    test: EmbeddedTest,
    evaluation: Evaluation,
    searches: Sequence[RankedList],
    scores: Scores | None = None,
    data_dir: str | None = None,
    explain: bool = False,
) -> ReportData:
    """Collect the content of the report as plain data.

    Args:
        workdir: workdir of the run.
        model: model of the run.
        dataset: measured dataset.
        test: embedded test splits of the dataset.
        evaluation: results on the dataset.
        searches: answers of an index, to be shown.
        scores: refined scores, if measured.
        data_dir: directory of built datasets; None for the run's.
        explain: colour what makes the best and the worst queries' first answers similar to them.
    """
    ranking = evaluation.rankings["instance"]
    before = evaluation.untrained
    tiles, variance = _map(test)
    config = model.config
    return ReportData(
        title=f"Fashion retrieval on {dataset.name}",
        subtitle=f"{model.card.backbone}, {config.image.height}×{config.image.width} pixels, "
        f"checkpoint of step {model.card.step} (best validation mAP)",
        dataset=_facts(dataset, evaluation, model.card),
        metrics=evaluation.metrics(),
        baseline_metrics=None if before is None else all_metrics(before),
        refined_metrics=None if evaluation.refined is None else all_metrics(evaluation.refined),
        refinements=evaluation.refinements.words(),
        intervals=evaluation.intervals(),
        unmeasured=evaluation.unmeasured(),
        cmc=_cmc(evaluation.rankings),
        baseline_cmc=None if before is None else _cmc(before),
        per_category=_per_category(ranking),
        ranked_lists=_ranked_lists(test, ranking, scores, model if explain else None),
        searches=searches,
        suspects=_suspects(test),
        tiles=tiles,
        map_variance=variance,
        tunings=_tunings(pathlib.Path(workdir) / _INDEX),
        history=read_metrics(pathlib.Path(workdir)),
        config=to_nested_dict(config),
        environment=environment(evaluation.seconds),
        command=f"fashion-jax evaluate --workdir={address_of(workdir) or workdir}"
        + ("" if dataset.name in config.data.datasets else f" --dataset={dataset.name}")
        + ("" if data_dir is None else f" --data_dir={data_dir}")
        + ("" if before is None else " --untrained")
        + (" --explain" if explain else "")
        + "".join(f" {flag}" for flag in evaluation.refinements.flags()),
    )


def _tunings(index: pathlib.Path) -> dict[str, Tuning]:
    """Read the curves of the run's index; a damaged file costs only their section."""
    try:
        return read_tunings(index)
    except FashionJaxError as error:
        logger.warning("the report omits the index curves: %s", error)
        return {}


def _cmc(rankings: dict[str, Ranking]) -> dict[str, np.ndarray]:
    return {name: ranking.cmc(_CMC_RANKS) for name, ranking in measured_rankings(rankings).items()}


def _facts(dataset: BuiltDataset, evaluation: Evaluation, card: ModelCard) -> DatasetFacts:
    ranking, seen = evaluation.rankings["instance"], evaluation.seen_in_training
    splits = {name: dataset.split(name) for name in dataset.splits}
    raw = dataset.build_report() or {}
    return DatasetFacts(
        name=f"{dataset.name} {dataset.version}",
        photos={name: len(split) for name, split in splits.items()},
        identities={name: len(np.unique(split.identity)) for name, split in splits.items()},
        evaluated_queries=int(ranking.measured.sum()),
        skipped_queries=ranking.skipped(),
        raw_photos=raw.get("photos", {}),
        boxes=raw.get("boxes", {}),
        build_options=dataset.build_options(),
        trained_on=card.dataset,
        training_options=card.dataset_options,
        seen_in_training=[] if seen is None else seen.lines(),
    )


def _per_category(ranking: Ranking) -> list[CategoryResult]:
    return [
        CategoryResult(name, result.queries, result.mean_average_precision, result.accuracy_at_1)
        for name, result in ranking.per_category().items()
        if result.queries
    ]


def _ranked_lists(
    test: EmbeddedTest,
    ranking: Ranking,
    refined: Scores | None = None,
    explaining: EmbeddingModel | None = None,
) -> list[RankedList]:
    plain = EmbeddingScores(test.queries_qd, test.gallery_gd)
    query_labels, gallery_labels = test.labels()
    lists = []
    for group, queries in _chosen_queries(ranking).items():
        for query in queries.tolist():
            out = ignored(query_labels, query, gallery_labels)
            shown = _ranked_list(test, ranking, group, query, out)
            answers = _answers(test, query, plain, out)
            after = [] if refined is None else _answers(test, query, refined, out)
            shown = dataclasses.replace(shown, answers=answers, refined=after)
            if explaining is not None and group in _EXPLAINED:
                shown = dataclasses.replace(shown, explained=_explained(explaining, shown))
            lists.append(shown)
    return lists


def _explained(model: EmbeddingModel, shown: RankedList) -> tuple[bytes, bytes]:
    """Colour a query and its first answer."""
    query, answer = (decode_photo(jpeg) for jpeg in (shown.query_jpeg, shown.answers[0].jpeg))
    (found,) = explain_similarity(model, query, [answer])
    return encode_jpeg(overlay(query, found.query)), encode_jpeg(overlay(answer, found.answer))


def _chosen_queries(ranking: Ranking) -> dict[str, Int[np.ndarray, "queries"]]:
    """Chooses the queries with the highest, median and lowest average precision."""
    rows = np.flatnonzero(ranking.measured)
    order = rows[np.argsort(-ranking.average_precision[rows], kind="stable")]
    count = min(_LISTS_PER_GROUP, -(-len(order) // 3))
    middle = max(0, (len(order) - count) // 2)
    return {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[::-1][:count],
    }


def _ranked_list(
    test: EmbeddedTest,
    ranking: Ranking,
    group: str,
    query: int,
    left_out: Bool[np.ndarray, "gallery"],
) -> RankedList:
    """Describe a query, without its answers."""
    same_product = test.gallery.identity == test.query.identity[query]
    return RankedList(
        query_jpeg=thumbnail(test.query.image_bytes(query)),
        caption=_caption(test.query, query),
        answers=[],
        group=group,
        average_precision=float(ranking.average_precision[query]),
        first_match_rank=int(ranking.first_match[query]),
        total_relevant=int(np.sum(same_product & ~left_out)),
    )


def _answers(
    test: EmbeddedTest, query: int, scores: Scores, left_out: Bool[np.ndarray, "gallery"]
) -> list[RankedAnswer]:
    """Return a query's first answers, with their photos."""
    (line,) = scores.against(np.arange(len(left_out)))(np.array([query]))
    line[left_out] = -np.inf
    first = np.argsort(-line, kind="stable")[: min(_ANSWERS, int(np.sum(~left_out)))]
    return [
        RankedAnswer(
            jpeg=thumbnail(test.gallery.image_bytes(row)),
            caption=_caption(test.gallery, row),
            score=float(line[row]),
            right=bool(test.gallery.identity[row] == test.query.identity[query]),
        )
        for row in first.tolist()
    ]


def _suspects(test: EmbeddedTest) -> list[SuspectPair]:
    """Find similar photos of different products in the gallery."""
    gallery = test.gallery
    found = find_suspected_label_errors(
        test.gallery_gd, gallery.identity, gallery.photo_id, _SUSPECTS
    )
    return [
        SuspectPair(
            thumbnail(gallery.image_bytes(each.first)),
            _caption(gallery, each.first),
            thumbnail(gallery.image_bytes(each.second)),
            _caption(gallery, each.second),
            each.score,
        )
        for each in found
    ]


def _map(test: EmbeddedTest) -> tuple[list[MapTile], float]:
    """Return the tiles of the gallery's map, and the share of the variance that it shows."""
    found = embedding_map(test.gallery_gd)
    tiles = [
        MapTile(
            thumbnail(test.gallery.image_bytes(photo.row), _TILE),
            _caption(test.gallery, photo.row),
            photo.column,
            photo.line,
            photo.photos,
        )
        for photo in found.photos
    ]
    return tiles, found.variance


def _caption(split: Split, row: int) -> str:
    return f"{split.category[row]} {split.photo_id[row]}"
