"""All fields of an experiment."""

import dataclasses

from fashion_jax.config.data_fields import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.config.errors import ConfigError
from fashion_jax.config.loss_fields import LossConfig, MiningConfig
from fashion_jax.config.model_fields import ClassifierConfig, ModelConfig
from fashion_jax.config.training_fields import (
    EvaluationConfig,
    MeshConfig,
    OptimizerConfig,
    TrainingConfig,
)


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """Everything that a run needs; stored as `config.json` in its workdir."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    image: ImageConfig = dataclasses.field(default_factory=ImageConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    classifier: ClassifierConfig = dataclasses.field(default_factory=ClassifierConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    mining: MiningConfig = dataclasses.field(default_factory=MiningConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    mesh: MeshConfig = dataclasses.field(default_factory=MeshConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        """Check the sections together."""
        _check_batch(self)
        _check_losses(self)


def _check_batch(config: ExperimentConfig) -> None:
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    group, parts = config.model.ghost_batch_size, config.training.microbatches
    if batch % parts:
        raise ConfigError(
            f"config field 'training.microbatches' must divide the batch of {batch} photos "
            f"(data.identities_per_batch times data.photos_per_identity), got {parts}"
        )
    if group and (batch // parts) % group:
        raise ConfigError(
            f"config field 'model.ghost_batch_size' must divide the {batch // parts} photos of a "
            f"batch (data.identities_per_batch times data.photos_per_identity, divided by "
            f"training.microbatches), got {group}"
        )


def _check_losses(config: ExperimentConfig) -> None:
    if config.loss.identity_weight and config.classifier.sub_centers > 1:
        raise ConfigError(
            "config field 'classifier.sub_centers' above 1 works only with losses on cosines "
            "(such as loss.arcface_weight): set loss.identity_weight to 0"
        )
    if config.loss.batch_all_weight and config.mining.memory_batches:
        raise ConfigError(
            "config fields 'loss.batch_all_weight' and 'mining.memory_batches' exclude each other: "
            "all triplets of a memory are too many"
        )
