"""Configs as plain nested dicts, as editable `ConfigDict`s and as `config.json`."""

import dataclasses
import json
import pathlib
import typing
from collections.abc import Iterable, Mapping, Sequence

import ml_collections

from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig
from fashion_jax.config.section import Section, checked, field_types
from fashion_jax.files import atomic_write

CONFIG_FILE = "config.json"
SECTIONS: dict[str, type[Section]] = typing.get_type_hints(ExperimentConfig)


def default_config() -> ml_collections.ConfigDict:
    """The defaults of every field, to be changed by a config file; no field can be added."""
    return to_config_dict(ExperimentConfig())


def to_config_dict(config: ExperimentConfig) -> ml_collections.ConfigDict:
    """An editable copy of a config."""
    return ml_collections.ConfigDict(to_nested_dict(config), type_safe=False).lock()


def to_nested_dict(config: ExperimentConfig) -> dict[str, dict[str, typing.Any]]:
    """Plain nested dicts, as stored in `config.json`."""
    return dataclasses.asdict(config)


def from_nested_dict(values: Mapping[str, typing.Any]) -> ExperimentConfig:
    """Validate nested dicts; missing fields get their defaults.

    Raises:
        ConfigError: if a section or a field is unknown, or a value does not fit; names the field.
    """
    _refuse_unknown("section", values, list(SECTIONS))
    sections: dict[str, typing.Any] = {name: _section(name, values[name]) for name in values}
    return ExperimentConfig(**sections)


def store_config(config: ExperimentConfig, path: pathlib.Path) -> None:
    """Write `config.json`; the file is complete or absent."""
    atomic_write(path, (json.dumps(to_nested_dict(config), indent=2) + "\n").encode())


def read_stored_config(path: pathlib.Path) -> ExperimentConfig:
    """Read what `store_config` wrote."""
    return from_nested_dict(json.loads(path.read_text()))


def differences(first: ExperimentConfig, second: ExperimentConfig) -> list[str]:
    """One line for each field whose values differ: `section.field: first != second`."""
    one, other = to_nested_dict(first), to_nested_dict(second)
    return [
        f"{section}.{field}: {value!r} != {other[section][field]!r}"
        for section, values in one.items()
        for field, value in values.items()
        if value != other[section][field]
    ]


def _section(name: str, values: typing.Any) -> Section:
    if not isinstance(values, Mapping):
        raise ConfigError(f"config section {name!r} must hold fields, got {values!r}")
    fields = [f"{name}.{field}" for field in field_types(SECTIONS[name])]
    _refuse_unknown("field", [f"{name}.{field}" for field in values], fields)
    return SECTIONS[name](**checked(SECTIONS[name], values))


def _refuse_unknown(what: str, given: Iterable[str], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise ConfigError(f"unknown config {what} {name!r}{nearest(name, names)}")
