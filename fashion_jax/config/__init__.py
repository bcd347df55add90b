"""Experiment configs: an editable `ConfigDict` outside, frozen dataclasses inside.

A config file defines `get_config()`, which fills `default_config()` with its own values.
`load_config` runs such a file, applies `--config.field=value` overrides and validates the result;
the message about a wrong field or value names the field and what it may be.
"""

from fashion_jax.config.data_fields import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import (
    CONFIG_FILE,
    ExperimentConfig,
    default_config,
    differences,
    from_nested_dict,
    read_stored_config,
    store_config,
    to_config_dict,
    to_nested_dict,
)
from fashion_jax.config.loading import (
    choose_variants,
    load_config,
    set_fields,
    shipped_configs,
)
from fashion_jax.config.loss_fields import LossConfig, MiningConfig
from fashion_jax.config.model_fields import ClassifierConfig, ModelConfig
from fashion_jax.config.sweep import Experiment, Variant, load_sweep
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
    "Experiment",
    "ExperimentConfig",
    "ImageConfig",
    "LossConfig",
    "MeshConfig",
    "MiningConfig",
    "ModelConfig",
    "OptimizerConfig",
    "TrainingConfig",
    "Variant",
    "choose_variants",
    "default_config",
    "differences",
    "from_nested_dict",
    "load_config",
    "load_sweep",
    "nearest",
    "read_stored_config",
    "set_fields",
    "shipped_configs",
    "store_config",
    "to_config_dict",
    "to_nested_dict",
]
