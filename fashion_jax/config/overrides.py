"""Changes of single fields of an editable config."""

import ast
import typing
from collections.abc import Mapping

import ml_collections

from fashion_jax.config.conversion import SECTIONS
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.section import field_types

_WORDS = {"true": True, "false": False, "none": None}


def set_fields(config: ml_collections.ConfigDict, overrides: Mapping[str, str]) -> None:
    """Change fields by texts such as `{"training.epochs": "3"}`, in place.

    Lists are written `(40, 70)` or `40,70`.

    Raises:
        ConfigError: if a field does not exist.
    """
    for name, text in overrides.items():
        section, field = _split(config, name)
        config[section][field] = _parse(text, field_types(SECTIONS[section])[field])


def set_values(config: ml_collections.ConfigDict, values: Mapping[str, typing.Any]) -> None:
    """Change fields by values such as `{"training.epochs": 3}`, in place.

    Raises:
        ConfigError: if a field does not exist.
    """
    for name, value in values.items():
        section, field = _split(config, name)
        config[section][field] = value


def _split(config: ml_collections.ConfigDict, name: str) -> tuple[str, str]:
    """Section and field of a full name."""
    names = [f"{section}.{field}" for section, fields in config.items() for field in fields]
    if name not in names:
        raise ConfigError(f"unknown config field {name!r}{nearest(name, names)}")
    section, field = name.split(".")
    return section, field


def _parse(text: str, kind: typing.Any) -> typing.Any:
    """The value that a text stands for; whether it fits the field is checked later."""
    if typing.get_origin(kind) is tuple and "(" not in text and "[" not in text:
        items = [item.strip() for item in text.split(",") if item.strip()]
        return tuple(_parse(item, typing.get_args(kind)[0]) for item in items)
    value = _literal(text)
    is_text = str in (kind, getattr(kind, "__origin__", None))  # with bounds or without
    return text if is_text and not isinstance(value, str) else value


def _literal(text: str) -> typing.Any:
    """Read `3`, `0.5`, `None`, `(40, 70)`; any other text stands for itself."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return _WORDS.get(text.lower(), text)
