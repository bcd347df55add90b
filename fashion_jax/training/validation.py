"""Validation: the model that a state holds, measured on validation identities."""

from collections.abc import Sequence

import jax
import numpy as np

from fashion_jax.datasets.dataset import Dataset
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
        For one dataset, metrics named such as `val/instance/mAP`; for several, such as
        `val/street2shop/instance/mAP`, and their means as `val/mean_of_datasets/instance/mAP`.
    """
    found = {dataset.name: _validate_one(model, dataset, progress) for dataset in datasets}
    if len(found) == 1:
        (metrics,) = found.values()
        return {f"val/{name}": value for name, value in metrics.items()}
    names = next(iter(found.values())).keys()
    means = {name: float(np.mean([each[name] for each in found.values()])) for name in names}
    return {
        f"val/{dataset}/{name}": value
        for dataset, metrics in (found | {MEAN_OF_DATASETS: means}).items()
        for name, value in metrics.items()
    }


def _validate_one(model: EmbeddingModel, dataset: Dataset, progress: bool) -> dict[str, float]:
    query, gallery = (dataset.split(name) for name in VALIDATION_SPLITS)
    queries_qd, gallery_gd = (model.embed_split(each, progress) for each in (query, gallery))
    labels = Labels.of(query), Labels.of(gallery)
    metrics = rank_embeddings(queries_qd, gallery_gd, *labels).metrics(depths=(1, 10))
    return {name: metrics[name] for name in _LOGGED}


def _build_options(datasets: Sequence[Dataset]) -> dict[str, str]:
    """Builders' options; of several datasets with their names in front."""
    if len(datasets) == 1:
        return datasets[0].build_options()
    return {
        f"{dataset.name}.{name}": value
        for dataset in datasets
        for name, value in dataset.build_options().items()
    }
