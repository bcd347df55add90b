"""All fields of an experiment: as dataclasses, nested dicts, `ConfigDict` and `config.json`."""

import dataclasses
import json
import pathlib
import typing
from collections.abc import Iterable, Mapping, Sequence

import ml_collections

from fashion_jax.config.data_fields import AugmentConfig, DataConfig, ImageConfig
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.loss_fields import LossConfig, MiningConfig
from fashion_jax.config.model_fields import ClassifierConfig, ModelConfig
from fashion_jax.config.section import Section, checked, field_types
from fashion_jax.config.training_fields import (
    EvaluationConfig,
    MeshConfig,
    OptimizerConfig,
    TrainingConfig,
)
from fashion_jax.files import StorageError, atomic_write, read_json
from fashion_jax.similar_names import reprs

CONFIG_FILE = "config.json"
Nested = dict[str, typing.Any]


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
        batch = self.data.identities_per_batch * self.data.photos_per_identity
        group, parts = self.model.ghost_batch_size, self.training.microbatches
        if self.data.identities_per_batch % parts:
            raise ConfigError(
                "config field 'training.microbatches' must divide the "
                f"{self.data.identities_per_batch} identities of a batch "
                f"(data.identities_per_batch), got {parts}"
            )
        if group and (batch // parts) % group:
            raise ConfigError(
                f"config field 'model.ghost_batch_size' must divide the {batch // parts} photos of "
                "a batch (data.identities_per_batch times data.photos_per_identity, divided by "
                f"training.microbatches), got {group}"
            )
        if self.loss.identity_weight and self.classifier.sub_centers > 1:
            raise ConfigError(
                "config field 'classifier.sub_centers' above 1 works only with losses on cosines "
                "(such as loss.arcface_weight): set loss.identity_weight to 0"
            )
        if self.loss.batch_all_weight and self.mining.memory_batches:
            raise ConfigError(
                "config fields 'loss.batch_all_weight' and 'mining.memory_batches' exclude each "
                "other: all triplets of a memory are too many"
            )


SECTIONS: dict[str, type[Section]] = typing.get_type_hints(ExperimentConfig)


def default_config() -> ml_collections.ConfigDict:
    """The defaults of every field, to be changed by a config file; no field can be added."""
    return to_config_dict(ExperimentConfig())


def to_config_dict(config: ExperimentConfig) -> ml_collections.ConfigDict:
    """An editable copy of a config."""
    return ml_collections.ConfigDict(dataclasses.asdict(config), type_safe=False).lock()


def to_nested_dict(config: ExperimentConfig) -> dict[str, dict[str, typing.Any]]:
    """Plain nested dicts, as stored in `config.json`."""
    return dataclasses.asdict(config)


def from_nested_dict(values: Mapping[str, typing.Any]) -> ExperimentConfig:
    """Validate nested dicts; missing fields get their defaults.

    Raises:
        ConfigError: if a section or a field is unknown, or a value does not fit; names the field.
    """
    _refuse_unknown("section", values, list(SECTIONS))
    sections: dict[str, typing.Any] = {}
    for name, fields in values.items():
        if not isinstance(fields, Mapping):
            raise ConfigError(f"config section {name!r} must hold fields, got {fields!r}")
        known = [f"{name}.{field}" for field in field_types(SECTIONS[name])]
        _refuse_unknown("field", [f"{name}.{field}" for field in fields], known)
        sections[name] = SECTIONS[name](**checked(SECTIONS[name], fields))
    return ExperimentConfig(**sections)


def store_config(config: ExperimentConfig, path: pathlib.Path) -> None:
    """Write `config.json`; the file is complete or absent."""
    atomic_write(path, (json.dumps(to_nested_dict(config), indent=2) + "\n").encode())


def read_stored_config(path: pathlib.Path) -> ExperimentConfig:
    """Read what `store_config` wrote; people may have edited it.

    Raises:
        ConfigError: it is missing or damaged, or a field (which is named) does not fit.
    """
    mend = "Correct the file, or restore it from a copy"
    try:
        return from_nested_dict(read_json(path, Nested, None, "a run's workdir", mend=mend))
    except StorageError as error:
        raise ConfigError(str(error)) from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}. {mend}") from error


def differences(first: ExperimentConfig, second: ExperimentConfig) -> list[str]:
    """One line for each field whose values differ: `section.field: first != second`."""
    one, other = to_nested_dict(first), to_nested_dict(second)
    return [
        f"{section}.{field}: {' != '.join(reprs(value, other[section][field]))}"
        for section, values in one.items()
        for field, value in values.items()
        if value != other[section][field]
    ]


def _refuse_unknown(what: str, given: Iterable[str], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise ConfigError(f"unknown config {what} {name!r}{nearest(name, names)}")
