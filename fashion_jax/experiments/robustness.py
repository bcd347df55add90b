"""Robustness of a run's model: Acc@1 and mAP as each nuisance of the queries grows.

The gallery stays clean and is embedded once; the clean queries are embedded once, too, and then
once for every nuisance and strength.
"""

import logging
import pathlib
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int
from tqdm import tqdm

from fashion_jax.datasets.corruptions import Nuisance, find_nuisances
from fashion_jax.datasets.corruptions.corrupted_split import DisturbedSplit
from fashion_jax.datasets.dataset import Split
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.embedded import EmbeddedTest, open_test
from fashion_jax.evaluation.robustness_result import METRICS, Curve, NuisanceResult, Robustness
from fashion_jax.experiments.evaluate import report_folder
from fashion_jax.inference.model import EmbeddingModel, load_model, read_run_config
from fashion_jax.metrics.ranking import Ranking
from fashion_jax.reports.robustness_page import model_in_words, write_robustness
from fashion_jax.reports.robustness_strips import draw_strips

STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_PROTOCOL = "instance"
_SAMPLE = 17  # first element of the sample's random seed

logger = logging.getLogger(__name__)


def measure_robustness(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    queries: int | None = None,
    nuisances: Sequence[str] | None = None,
    report: str | pathlib.Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Robustness:
    """Measures a run's best model under nuisances, and writes a page and `robustness.json`.

    Args:
        workdir: of the run.
        dataset: another one than the run's own, or than the first of its own.
        data_dir: where it lies; by default the run's.
        queries: number of queries to draw at random; by default all are used.
        nuisances: names from `NUISANCES`; by default all.
        report: folder of the page; by default `report/robustness` in the workdir, or
            `report/DATASET/robustness` for another dataset than the run's own, and wherever the
            run has several.
        seed: of the sample and of all disturbances.
        progress: whether to show bars.

    Raises:
        FashionJaxError: if there is no such nuisance, no run, no checkpoint, no dataset, or
            nothing to measure.
    """
    kinds = find_nuisances(nuisances)
    data = read_run_config(workdir).data
    built = open_test(dataset or data.dataset, data_dir or data.data_dir)
    query, gallery = built.split("query"), built.split("gallery")
    rows = sample_rows(len(query), queries, seed)
    model = load_model(workdir)
    total = len(gallery) + len(rows) * (1 + len(kinds) * len(STRENGTHS[1:]))
    _say_amount(len(gallery), len(rows), len(kinds), total)
    folder = report or report_folder(workdir, built.name, data.datasets) / "robustness"
    page = pathlib.Path(folder) / "index.html"
    start = time.perf_counter()
    with _Embedder(model, total, progress) as embedder:
        rankings = _rankings(embedder, query, gallery, rows, kinds, seed)
    robustness = Robustness(
        dataset=built.name,
        step=model.card.step,
        strengths=STRENGTHS,
        results=tuple(_result(kind, rankings[kind.name]) for kind in kinds),
        gallery=len(gallery),
        queries=len(rows),
        all_queries=len(query),
        skipped=rankings[kinds[0].name][0].skipped(),
        seed=seed,
        embedded=total,
        coverage=dict((built.build_report() or {}).get("photos", {})),
        seconds=time.perf_counter() - start,
        report=page,
    )
    strips = draw_strips(DisturbedSplit(query, rows), kinds, STRENGTHS, rankings, seed)
    write_robustness(page, robustness, strips, model_in_words(model.card))
    return robustness


def sample_rows(photos: int, wanted: int | None, seed: int) -> Int[np.ndarray, " rows"]:
    """Rows of the queries to use, rising: all, or a random sample of the wanted size.

    Raises:
        FashionJaxError: if fewer than one query is wanted.
    """
    if wanted is not None and wanted < 1:
        raise FashionJaxError(f"--queries has to be at least 1, got {wanted}")
    if wanted is None or wanted >= photos:
        return np.arange(photos)
    rng = np.random.default_rng((_SAMPLE, seed))
    return np.sort(rng.choice(photos, wanted, replace=False))


class _Embedder:
    """Embeds split after split, and shows how far all of them together are."""

    def __init__(self, model: EmbeddingModel, total: int, progress: bool) -> None:
        """`total` photos are to come."""
        self._model = model
        self._progress = progress
        self._bar = tqdm(total=total, desc="robustness", unit="photo", disable=not progress)

    def __enter__(self) -> "_Embedder":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def embed(self, split: Split) -> Float32[np.ndarray, "photos features"]:
        """Embeddings of a split, in its order."""
        embeddings = self._model.embed_split(split, self._progress)
        self._bar.update(len(split))
        return embeddings


def _say_amount(gallery: int, queries: int, nuisances: int, total: int) -> None:
    logger.info(
        "%s photos to embed: %s of the gallery once, %s queries once clean and %d times "
        "disturbed (%d nuisances at %d strengths)",
        f"{total:,}",
        f"{gallery:,}",
        f"{queries:,}",
        nuisances * len(STRENGTHS[1:]),
        nuisances,
        len(STRENGTHS[1:]),
    )


def _rankings(
    embedder: _Embedder,
    query: Split,
    gallery: Split,
    rows: Int[np.ndarray, " rows"],
    nuisances: Sequence[Nuisance],
    seed: int,
) -> dict[str, list[Ranking]]:
    """Per-query ranking results at each strength, by the nuisance's name."""
    gallery_gd = embedder.embed(gallery)

    def rank(queries: Split) -> Ranking:
        test = EmbeddedTest(queries, gallery, embedder.embed(queries), gallery_gd)
        return test.rank(_PROTOCOL)

    clean = rank(DisturbedSplit(query, rows))
    clean.metrics()  # refuses queries without a right answer before the long work starts
    return {
        nuisance.name: [
            clean,
            *(
                rank(DisturbedSplit(query, rows, nuisance, strength, seed))
                for strength in STRENGTHS[1:]
            ),
        ]
        for nuisance in nuisances
    }


def _result(nuisance: Nuisance, rankings: Sequence[Ranking]) -> NuisanceResult:
    values = [ranking.metrics() for ranking in rankings]
    curves = {
        metric: Curve(STRENGTHS, tuple(value[metric] for value in values)) for metric in METRICS
    }
    return NuisanceResult(nuisance.name, nuisance.full_strength, curves)
