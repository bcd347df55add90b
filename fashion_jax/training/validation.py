"""What training asks of evaluation: mAP on validation identities, and the model's card."""

from collections.abc import Sequence

import numpy as np

from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.evaluation.embedded import embed_test
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.weights.checksum import weights_hash
from fashion_jax.inference.weights.origin import WeightsOrigin
from fashion_jax.training.checkpoints import MEAN_OF_DATASETS
from fashion_jax.training.learner import Learner, variables_for_encode
from fashion_jax.training.state import TrainState

# Model selection sees these identities only: they are neither trained on nor tested.
VALIDATION_SPLITS = ("val_query", "val_gallery")
_LOGGED = ("instance/mAP", "instance/Acc@1", "instance/Acc@10")


def validate(
    learner: Learner, state: TrainState, datasets: Sequence[BuiltDataset], progress: bool = True
) -> dict[str, float]:
    """Metrics over the whole validation gallery of each dataset on its own.

    Returns:
        For one dataset, metrics named such as `val/instance/mAP`; for several, such as
        `val/street2shop/instance/mAP`, and their means as `val/mean_of_datasets/instance/mAP`.
    """
    found = {dataset.name: _validate_one(learner, state, dataset, progress) for dataset in datasets}
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


def _validate_one(
    learner: Learner, state: TrainState, dataset: BuiltDataset, progress: bool
) -> dict[str, float]:
    config = learner.config
    embedded = embed_test(
        learner.encode,
        variables_for_encode(state.embedding_params, state.embedding_model_state),
        dataset,
        VALIDATION_SPLITS,
        config.image,
        config.evaluation.batch_size,
        config.data,
        learner.mesh,
        progress,
    )
    metrics = embedded.rank("instance").metrics(depths=(1, 10))
    return {name: metrics[name] for name in _LOGGED}


def model_card(
    learner: Learner, state: TrainState, datasets: Sequence[BuiltDataset], origin: WeightsOrigin
) -> ModelCard:
    """Says what the state's embeddings are comparable with."""
    model = learner.config.model
    variables = variables_for_encode(state.embedding_params, state.embedding_model_state)
    preprocessing = learner.preprocessing
    return ModelCard(
        backbone=model.backbone,
        last_stride=model.last_stride,
        stem_relu=model.stem_relu,
        stem_pool=model.stem_pool,
        pooling=model.pooling,
        neck=model.neck,
        normalisation="l2",
        metric="cosine",
        embedding_width=learner.embedding_width,
        image_height=preprocessing.height,
        image_width=preprocessing.width,
        pixel_mean=preprocessing.mean,
        pixel_std=preprocessing.std,
        weights_hash=weights_hash(variables["params"], variables["model_state"]),
        dataset=", ".join(f"{dataset.name} {dataset.version}" for dataset in datasets),
        step=int(state.step),
        dataset_options=_build_options(datasets),
        gem_power=model.gem_power,
        pretrained=origin.name,
        pretrained_sha256=origin.sha256,
    )


def _build_options(datasets: Sequence[BuiltDataset]) -> dict[str, str]:
    """Builders' options; of several datasets with their names in front."""
    if len(datasets) == 1:
        return datasets[0].build_options()
    return {
        f"{dataset.name}.{name}": value
        for dataset in datasets
        for name, value in dataset.build_options().items()
    }
