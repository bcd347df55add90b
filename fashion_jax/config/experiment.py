"""All fields of an experiment."""

import dataclasses

from fashion_jax.config.data_fields import AugmentConfig, DataConfig, ImageConfig
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
