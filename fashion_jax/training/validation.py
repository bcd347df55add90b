"""Validation: the model that a state holds, measured on validation identities.

Few products are told apart by any model, so that a small validation gallery says little about a
large one. Training photos fill it up: no query shows their products.
"""

from collections.abc import Sequence

import jax
import numpy as np

from fashion_jax.datasets.dataset import Dataset, Split, SplitRows
from fashion_jax.inference.card import make_card
from fashion_jax.inference.checkpoints import MEAN_OF_DATASETS
from fashion_jax.inference.embed import without_classifier
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.inference.weights.origin import WeightsOrigin
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.ranking import rank_embeddings
from fashion_jax.parallel.mesh import replicated
from fashion_jax.training.learner import Learner
from fashion_jax.training.state import TrainState

# Model selection sees these identities only: they are neither trained on nor tested.
VALIDATION_SPLITS = ("val_query", "val_gallery")
_LOGGED = ("instance/mAP", "instance/Acc@1", "instance/Acc@10")
# Photos of a gallery that needs no distractors by default.
FULL_GALLERY = 1000


def model_of(
    learner: Learner,
    state: TrainState,
    datasets: Sequence[Dataset],
    train_sha256: str,
    origin: WeightsOrigin,
) -> EmbeddingModel:
    """The model that a state holds, ready to embed, with its card.

    Args:
        learner: network and its compiled functions.
        state: weights.
        datasets: training data.
        train_sha256: SHA-256 of its content.
        origin: file of the first weights.
    """
    variables = without_classifier(state.embedding_params, state.embedding_model_state)
    if learner.config.mesh.fsdp:  # a host can read only what it holds
        variables = jax.jit(lambda held: held, out_shardings=replicated(learner.mesh))(variables)
    card = make_card(
        learner.config,
        learner.embedding_width,
        variables,
        dataset=", ".join(f"{dataset.name} {dataset.version}" for dataset in datasets),
        step=int(state.step),
        dataset_options=_build_options(datasets),
        train_sha256=train_sha256,
        origin=origin,
    )
    return EmbeddingModel(learner.config, card, learner.encode, variables, learner.mesh)


def validate(
    model: EmbeddingModel, datasets: Sequence[Dataset], progress: bool = True
) -> dict[str, float]:
    """Metrics over the whole validation gallery of each dataset on its own.

    Returns:
        For one dataset, metrics named such as `val/instance/mAP`, with both ends of their 95 %
        interval (`val/instance/mAP_low`, `val/instance/mAP_high`) and the photos of the gallery
        (`val/gallery_photos`); for several, such as `val/street2shop/instance/mAP`, and the means
        of the metrics as `val/mean_of_datasets/instance/mAP`.
    """
    found = {dataset.name: _validate_one(model, dataset, progress) for dataset in datasets}
    if len(found) == 1:
        (metrics,) = found.values()
        return {f"val/{name}": value for name, value in metrics.items()}
    means = {name: float(np.mean([each[name] for each in found.values()])) for name in _LOGGED}
    return {
        f"val/{dataset}/{name}": value
        for dataset, metrics in (found | {MEAN_OF_DATASETS: means}).items()
        for name, value in metrics.items()
    }


def _validate_one(model: EmbeddingModel, dataset: Dataset, progress: bool) -> dict[str, float]:
    query, gallery = (dataset.split(name) for name in VALIDATION_SPLITS)
    wanted = model.config.evaluation.validation_distractors
    parts = [gallery, distractors(dataset.split("train"), query, gallery, wanted)]
    queries_qd = model.embed_split(query, progress)
    gallery_gd = np.concatenate([model.embed_split(part, progress) for part in parts])
    ranking = rank_embeddings(queries_qd, gallery_gd, Labels.of(query), _labels_of_all(parts))
    metrics, intervals = ranking.metrics((1, 10)), ranking.intervals((1, 10))
    found = {name: metrics[name] for name in _LOGGED}
    for name in _LOGGED:
        found[f"{name}_low"], found[f"{name}_high"] = intervals[name]
    return found | {"gallery_photos": float(len(gallery_gd))}


def distractors(train: Split, query: Split, gallery: Split, wanted: int) -> SplitRows:
    """Choose training photos for a validation gallery: products apart, as evenly as can be.

    Args:
        train: training photos.
        query: validation queries, whose products are left out.
        gallery: validation gallery; photos of its domains are chosen.
        wanted: number of photos; -1 for as many as fill the gallery up to `FULL_GALLERY`.
    """
    fits = np.isin(train.domain, gallery.domain) & ~np.isin(train.identity, query.identity)
    rows = np.flatnonzero(fits)
    rows = rows[np.argsort(train.identity[rows], kind="stable")]
    count = max(0, FULL_GALLERY - len(gallery)) if wanted < 0 else wanted
    count = min(count, len(rows))
    return SplitRows(train, rows[np.arange(count) * len(rows) // max(1, count)])


def _labels_of_all(splits: Sequence[Split]) -> Labels:
    """Labels of splits of one dataset, one after the other."""
    names = ("identity", "category", "camera", "photo_id")
    return Labels(**{name: np.concatenate([getattr(s, name) for s in splits]) for name in names})


def _build_options(datasets: Sequence[Dataset]) -> dict[str, str]:
    """Builders' options; of several datasets with their names in front."""
    if len(datasets) == 1:
        return datasets[0].build_options()
    return {
        f"{dataset.name}.{name}": value
        for dataset in datasets
        for name, value in dataset.build_options().items()
    }
