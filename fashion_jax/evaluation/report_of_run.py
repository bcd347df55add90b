"""Gathers what the report of a run shows."""

import datetime
import pathlib
import platform
from collections.abc import Sequence

import flax
import jax
import numpy as np
from jaxtyping import Int

from fashion_jax.config import to_nested_dict
from fashion_jax.data.dataset import BuiltDataset, Split
from fashion_jax.data.thumbnails import thumbnail
from fashion_jax.evaluation.embedded import EmbeddedTest
from fashion_jax.evaluation.ranking import Ranking
from fashion_jax.evaluation.report import (
    CategoryResult,
    DatasetFacts,
    RankedAnswer,
    RankedList,
    ReportData,
)
from fashion_jax.evaluation.result import Evaluation, all_metrics
from fashion_jax.retrieval.exact import ExactIndex
from fashion_jax.training.metrics_log import read_metrics
from fashion_jax.training.trained_model import TrainedModel

_LISTS_PER_GROUP = 4
_ANSWERS = 8
_CMC_RANKS = 50


def report_data(
    workdir: str | pathlib.Path,
    model: TrainedModel,
    dataset: BuiltDataset,
    test: EmbeddedTest,
    evaluation: Evaluation,
    searches: Sequence[RankedList],
) -> ReportData:
    """Everything that the page shows, as plain data."""
    ranking = evaluation.rankings["instance"]
    before = evaluation.untrained
    config = model.config
    return ReportData(
        title=f"Fashion retrieval on {dataset.name}",
        subtitle=f"{model.card.backbone}, {config.image.height}×{config.image.width} pixels, "
        f"checkpoint of step {model.card.step} (best validation mAP)",
        dataset=_facts(dataset, ranking),
        metrics=evaluation.metrics(),
        baseline_metrics=None if before is None else all_metrics(before),
        cmc=_cmc(evaluation.rankings),
        baseline_cmc=None if before is None else _cmc(before),
        per_category=_per_category(ranking),
        ranked_lists=_ranked_lists(test, ranking),
        searches=searches,
        history=read_metrics(pathlib.Path(workdir)),
        config=to_nested_dict(config),
        environment=_environment(evaluation.seconds),
        command=f"fashion-jax evaluate --workdir={workdir}"
        + ("" if before is None else " --untrained"),
    )


def _cmc(rankings: dict[str, Ranking]) -> dict[str, np.ndarray]:
    return {name: ranking.cmc(_CMC_RANKS) for name, ranking in rankings.items()}


def _facts(dataset: BuiltDataset, ranking: Ranking) -> DatasetFacts:
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
    )


def _per_category(ranking: Ranking) -> list[CategoryResult]:
    return [
        CategoryResult(name, result.queries, result.mean_average_precision, result.accuracy_at_1)
        for name, result in ranking.per_category().items()
        if result.queries
    ]


def _ranked_lists(test: EmbeddedTest, ranking: Ranking) -> list[RankedList]:
    index = ExactIndex(test.gallery_gd)
    lists = []
    for group, rows in _chosen_queries(ranking).items():
        neighbours = index.search(test.queries_qd[rows], _ANSWERS)
        for query, found, scores in zip(rows, neighbours.rows, neighbours.scores, strict=True):
            lists.append(_ranked_list(test, ranking, group, int(query), found, scores))
    return lists


def _chosen_queries(ranking: Ranking) -> dict[str, Int[np.ndarray, "queries"]]:
    """Rows of the queries with the highest, middle and lowest average precision."""
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
    found: Int[np.ndarray, "answers"],
    scores: np.ndarray,
) -> RankedList:
    identity = test.query.identity[query]
    return RankedList(
        query_jpeg=thumbnail(test.query.image_bytes(query)),
        caption=_caption(test.query, query),
        answers=[
            RankedAnswer(
                jpeg=thumbnail(test.gallery.image_bytes(row)),
                caption=_caption(test.gallery, row),
                score=score,
                right=bool(test.gallery.identity[row] == identity),
            )
            for row, score in zip(found.tolist(), scores.tolist(), strict=True)
        ],
        group=group,
        average_precision=float(ranking.average_precision[query]),
        first_match_rank=int(ranking.first_match[query]),
        total_relevant=int(np.sum(test.gallery.identity == identity)),
    )


def _caption(split: Split, row: int) -> str:
    return f"{split.category[row]} {split.photo_id[row]}"


def _environment(seconds: float) -> dict[str, object]:
    devices = jax.devices()
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "evaluation took": f"{seconds:.1f} s",
        "devices": f"{len(devices)} × {devices[0].device_kind}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "flax": flax.__version__,
    }
