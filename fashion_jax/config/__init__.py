"""Experiment configs: an editable `ConfigDict` on the outside, frozen dataclasses on the inside.

A config file defines `get_config()` and returns `default_config()` with its own values filled in.
`load_config` reads such a file, applies `--config.field=value` overrides and validates the
result; an unknown field or a value of the wrong type is refused with the nearest right name.
"""

from fashion_jax.config.data_fields import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig
from fashion_jax.config.files import (
    CONFIG_FILE,
    default_config,
    differences,
    from_nested_dict,
    load_config,
    read_stored_config,
    set_fields,
    store_config,
    to_config_dict,
    to_nested_dict,
)
from fashion_jax.config.ladder import Rung, load_ladder
from fashion_jax.config.loss_fields import LossConfig, MiningConfig
from fashion_jax.config.model_fields import ClassifierConfig, ModelConfig
from fashion_jax.config.training_fields import (
    EvaluationConfig,
    MeshConfig,
    OptimizerConfig,
    TrainingConfig,
)

__all__ = [
    "CONFIG_FILE",
    "AugmentConfig",
    "ClassifierConfig",
    "ConfigError",
    "DataConfig",
    "EvaluationConfig",
    "ExperimentConfig",
    "ImageConfig",
    "LossConfig",
    "MeshConfig",
    "MiningConfig",
    "ModelConfig",
    "OptimizerConfig",
    "Rung",
    "TrainingConfig",
    "default_config",
    "differences",
    "from_nested_dict",
    "load_config",
    "load_ladder",
    "nearest",
    "read_stored_config",
    "set_fields",
    "store_config",
    "to_config_dict",
    "to_nested_dict",
]
