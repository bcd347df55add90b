"""Configs in and out: Python files, overrides, `config.json`."""

import ast
import dataclasses
import importlib.util
import json
import pathlib
import types
import typing
from collections.abc import Mapping

import ml_collections

from fashion_jax.config.checks import check_ranges
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig
from fashion_jax.files import atomic_write

CONFIG_FILE = "config.json"
_SCALARS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
_LISTS = {float: "a list of numbers, such as (1, 2)", str: "a list of texts, such as ('a', 'b')"}


def default_config() -> ml_collections.ConfigDict:
    """The defaults of every field, to be changed by a config file; no field can be added."""
    return to_config_dict(ExperimentConfig())


def to_config_dict(config: ExperimentConfig) -> ml_collections.ConfigDict:
    """A config with all its fields open for changes."""
    return ml_collections.ConfigDict(to_nested_dict(config), type_safe=False).lock()


def to_nested_dict(config: ExperimentConfig) -> dict[str, dict[str, typing.Any]]:
    """Plain nested dicts, as stored in `config.json`."""
    return dataclasses.asdict(config)


def load_config(path: str | pathlib.Path, overrides: Mapping[str, str]) -> ExperimentConfig:
    """Reads a config file and applies overrides such as `{"training.epochs": "3"}`.

    Raises:
        ConfigError: if the file or a field does not exist, or a value does not fit.
    """
    config = _get_config(pathlib.Path(path))
    set_fields(config, overrides)
    return from_nested_dict(config.to_dict())


def set_fields(config: ml_collections.ConfigDict, overrides: Mapping[str, str]) -> None:
    """Changes fields by texts such as `{"training.epochs": "3"}`, in place.

    Raises:
        ConfigError: if a field does not exist.
    """
    set_values(config, {name: _literal(text) for name, text in overrides.items()})


def set_values(config: ml_collections.ConfigDict, values: Mapping[str, typing.Any]) -> None:
    """Changes fields by values such as `{"training.epochs": 3}`, in place.

    Raises:
        ConfigError: if a field does not exist.
    """
    fields = [f"{section}.{field}" for section, values in config.items() for field in values]
    for name, value in values.items():
        if name not in fields:
            raise ConfigError(f"there is no config field {name!r}{nearest(name, fields)}")
        section, field = name.split(".")
        config[section][field] = value


def from_nested_dict(values: Mapping[str, typing.Any]) -> ExperimentConfig:
    """Validates nested dicts into an `ExperimentConfig`.

    Raises:
        ConfigError: naming a field that is unknown or whose value does not fit.
    """
    sections = {field.name: field.type for field in dataclasses.fields(ExperimentConfig)}
    _refuse_unknown(values, list(sections), "section")
    made = {
        name: _section(typing.cast(type, sections[name]), name, section)
        for name, section in values.items()
    }
    config = ExperimentConfig(**made)
    check_ranges(config)
    return config


def store_config(config: ExperimentConfig, path: pathlib.Path) -> None:
    """Writes `config.json`; the file is there whole or not at all."""
    atomic_write(path, (json.dumps(to_nested_dict(config), indent=2) + "\n").encode())


def read_stored_config(path: pathlib.Path) -> ExperimentConfig:
    """Reads what `store_config` wrote."""
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


def load_module(path: pathlib.Path) -> types.ModuleType:
    """Runs a config file.

    Raises:
        ConfigError: if it does not exist, is no Python file, or fails.
    """
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob("*.py") if p.stem != "__init__")
        hint = nearest(path.stem, there) if there else ""
        raise ConfigError(f"there is no config file {path.resolve()}{hint}")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.resolve()} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path.resolve()}: {error}") from error
    return module


def _get_config(path: pathlib.Path) -> ml_collections.ConfigDict:
    module = load_module(path)
    try:
        return module.get_config()
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path.resolve()}: {error}") from error


def _literal(text: str) -> typing.Any:
    """Reads `3`, `0.5`, `None`, `(40, 70)`; whatever is no Python literal is a text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _section(kind: type, name: str, values: Mapping[str, typing.Any]) -> typing.Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"config section {name!r} has to hold fields, got {values!r}")
    types_of = typing.get_type_hints(kind)
    _refuse_unknown(values, list(types_of), f"field in {name!r}:")
    return kind(
        **{
            field: _checked(f"{name}.{field}", types_of[field], value)
            for field, value in values.items()
        }
    )


def _refuse_unknown(values: Mapping[str, typing.Any], names: list[str], what: str) -> None:
    for name in values:
        if name not in names:
            raise ConfigError(f"there is no config {what} {name!r}{nearest(name, names)}")


def _checked(name: str, kind: typing.Any, value: typing.Any) -> typing.Any:
    """The value as the field's type, or an error that names the field."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        (kind,) = [option for option in typing.get_args(kind) if option is not type(None)]
    if typing.get_origin(kind) is tuple:
        item_kind = typing.get_args(kind)[0]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"config field {name!r} has to be {_LISTS[item_kind]}, got {value!r}")
        return tuple(_checked(name, item_kind, item) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"config field {name!r} has to be {_SCALARS[kind]}, got {value!r}")
    return value
