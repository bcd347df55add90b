"""Robustness of a run's model: mAP and Acc@1 under corruptions of increasing severity.

The gallery stays clean. Gallery and clean queries are embedded once; the queries once more for
every corruption and severity.
"""

import logging
import pathlib
import time
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Int
from tqdm import tqdm

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.corruptions import Corruption, find_corruptions
from fashion_jax.datasets.corruptions.corrupted_split import CorruptedSplit
from fashion_jax.datasets.dataset import Split
from fashion_jax.errors import FashionJaxError, keeping
from fashion_jax.evaluation.embedded import EmbeddedTest, open_test
from fashion_jax.evaluation.robustness_result import METRICS, CorruptionResult, Curve, Robustness
from fashion_jax.evaluation.seen_in_training import seen_in_training
from fashion_jax.experiments.evaluate import report_folder
from fashion_jax.inference.model import EmbeddingModel, load_model, read_run_config
from fashion_jax.metrics.ranking import Ranking
from fashion_jax.reports.robustness_page import model_in_words, write_robustness
from fashion_jax.reports.robustness_strips import draw_strips

SEVERITIES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_PROTOCOL = "instance"
_SAMPLE = 17  # first element of the random seed of the sample

logger = logging.getLogger(__name__)


@at_addresses("workdir", must_exist=("workdir",))
def measure_robustness(
    workdir: str | pathlib.Path,
    dataset: str | None = None,
    data_dir: str | None = None,
    queries: int | None = None,
    corruptions: Sequence[str] | None = None,
    report: str | pathlib.Path | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Robustness:
    """Measure a run's best model under corruptions; write a page and `robustness.json`.

    Args:
        workdir: directory of the run.
        dataset: name of a built dataset; by default the run's first.
        data_dir: directory of built datasets; by default the run's.
        queries: number of queries to draw at random; by default all are used.
        corruptions: names from `CORRUPTIONS`; by default all.
        report: directory of the page; by default `report/robustness` in the workdir, or
            `report/DATASET/robustness` for a dataset other than the run's only one.
        seed: seed of the sample and of all corruptions.
        progress: whether to show progress bars.

    Raises:
        FashionJaxError: if a corruption, the run, its checkpoint or the dataset does not exist, or
            no query can be measured.
    """
    kinds = find_corruptions(corruptions)
    data = read_run_config(workdir).data
    built = open_test(dataset or data.dataset, data_dir or data.data_dir)
    query, gallery = built.split("query"), built.split("gallery")
    rows = sample_rows(len(query), queries, seed)
    model = load_model(workdir)
    total = len(gallery) + len(rows) * (1 + len(kinds) * len(SEVERITIES[1:]))
    _log_amount(len(gallery), len(rows), len(kinds), total)
    folder = report or report_folder(workdir, built.name, data.datasets) / "robustness"
    page = pathlib.Path(folder) / "index.html"
    start = time.perf_counter()
    with _Embedder(model, total, progress) as embedder:
        rankings = _rankings(embedder, query, gallery, rows, kinds, seed)
    robustness = Robustness(
        dataset=built.name,
        step=model.card.step,
        severities=SEVERITIES,
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
        seen_in_training=seen_in_training(workdir, built),
    )
    with keeping(robustness, "the report"):
        strips = draw_strips(CorruptedSplit(query, rows), kinds, SEVERITIES, rankings, seed)
        write_robustness(page, robustness, strips, model_in_words(model.card))
    return robustness


def sample_rows(photos: int, wanted: int | None, seed: int) -> Int[np.ndarray, " rows"]:
    """Choose the rows of the queries, in rising order: all, or a random sample.

    Args:
        photos: number of queries.
        wanted: size of the sample; `None` for all.
        seed: seed of the sample.

    Raises:
        FashionJaxError: if fewer than one query is wanted.
    """
    if wanted is not None and wanted < 1:
        raise FashionJaxError(f"--queries must be at least 1, got {wanted}")
    if wanted is None or wanted >= photos:
        return np.arange(photos)
    rng = np.random.default_rng((_SAMPLE, seed))
    return np.sort(rng.choice(photos, wanted, replace=False))


class _Embedder:
    """Embeds split after split, with one progress bar over all of them."""

    def __init__(self, model: EmbeddingModel, total: int, progress: bool) -> None:
        """Prepare to embed `total` photos."""
        self._model = model
        self._progress = progress
        self._bar = tqdm(total=total, desc="robustness", unit="photo", disable=not progress)

    def __enter__(self) -> "_Embedder":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def embed(self, split: Split) -> Float32[np.ndarray, "photos features"]:
        """Embed a split, in its order."""
        embeddings = self._model.embed_split(split, self._progress)
        self._bar.update(len(split))
        return embeddings


def _log_amount(gallery: int, queries: int, corruptions: int, total: int) -> None:
    logger.info(
        "%s photos to embed: %s of the gallery once, %s queries once clean and %d times "
        "corrupted (%d corruptions at %d severities)",
        f"{total:,}",
        f"{gallery:,}",
        f"{queries:,}",
        corruptions * len(SEVERITIES[1:]),
        corruptions,
        len(SEVERITIES[1:]),
    )


def _rankings(
    embedder: _Embedder,
    query: Split,
    gallery: Split,
    rows: Int[np.ndarray, " rows"],
    corruptions: Sequence[Corruption],
    seed: int,
) -> dict[str, list[Ranking]]:
    """Rank the gallery for the queries at each severity, by name of the corruption."""
    gallery_gd = embedder.embed(gallery)

    def rank(queries: Split) -> Ranking:
        test = EmbeddedTest(queries, gallery, embedder.embed(queries), gallery_gd)
        return test.rank(_PROTOCOL)

    clean = rank(CorruptedSplit(query, rows))
    clean.metrics()  # refuses queries without a correct match before the long work starts
    return {
        corruption.name: [
            clean,
            *(
                rank(CorruptedSplit(query, rows, corruption, severity, seed))
                for severity in SEVERITIES[1:]
            ),
        ]
        for corruption in corruptions
    }


def _result(corruption: Corruption, rankings: Sequence[Ranking]) -> CorruptionResult:
    values = [ranking.metrics() for ranking in rankings]
    curves = {
        metric: Curve(SEVERITIES, tuple(value[metric] for value in values)) for metric in METRICS
    }
    return CorruptionResult(corruption.name, corruption.full_severity, curves)
