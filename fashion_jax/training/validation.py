"""What training asks of evaluation: mAP on validation identities, and the model's card."""

from fashion_jax.data.dataset import BuiltDataset
from fashion_jax.evaluation.embedded import embed_test
from fashion_jax.model_card import ModelCard
from fashion_jax.models.pretrained import weights_hash
from fashion_jax.training.learner import Learner, variables_for_encode
from fashion_jax.training.state import TrainState

# Model selection sees these identities only: they are neither trained on nor tested.
VALIDATION_SPLITS = ("val_query", "val_gallery")


def validate(
    learner: Learner, state: TrainState, dataset: BuiltDataset, progress: bool = True
) -> dict[str, float]:
    """Metrics over the whole validation gallery, named such as `val/instance/mAP`."""
    config = learner.config
    embedded = embed_test(
        learner.encode,
        variables_for_encode(state.params, state.model_state),
        dataset,
        VALIDATION_SPLITS,
        config.image,
        config.evaluation.batch_size,
        config.data,
        learner.mesh,
        progress,
    )
    metrics = embedded.rank("instance").metrics(ranks=(1, 10))
    return {f"val/{name}": value for name, value in metrics.items()}


def model_card(learner: Learner, state: TrainState, dataset: BuiltDataset) -> ModelCard:
    """Says what the state's embeddings are comparable with."""
    model = learner.config.model
    variables = variables_for_encode(state.params, state.model_state)
    preprocessing = learner.preprocessing
    return ModelCard(
        backbone=model.backbone,
        last_stride=model.last_stride,
        stem_relu=model.stem_relu,
        pooling=model.pooling,
        neck="bnneck",
        normalisation="l2",
        metric="cosine",
        embedding_width=learner.abstract_state.centers.shape[1],
        image_height=preprocessing.height,
        image_width=preprocessing.width,
        pixel_mean=preprocessing.mean,
        pixel_std=preprocessing.std,
        weights_hash=weights_hash(variables["params"], variables["model_state"]),
        dataset=f"{dataset.name} {dataset.version}",
        step=int(state.step),
    )
