"""Builder options by name; wrong names are refused with the nearest known one."""

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from fashion_jax.errors import FashionJaxError
from fashion_jax.similar_names import did_you_mean

Options = TypeVar("Options")


class OptionError(FashionJaxError):
    """An unknown builder option, or one with a wrong value."""


def option(default: Any, least: int | float = 0, most: int | float = math.inf) -> Any:
    """Declare an option that is a number of the default's type, in least..most."""
    return dataclasses.field(default=default, metadata={"least": least, "most": most})


def choice(default: str, *others: str) -> Any:
    """Declare an option that is one of a few words."""
    return dataclasses.field(default=default, metadata={"words": (default, *others)})


def make_options(cls: type[Options], values: Mapping[str, Any]) -> Options:
    """Make an options dataclass from names and values.

    Args:
        cls: dataclass whose fields were declared with `option` or `choice`, or are plain texts.
        values: values by name; numbers may be texts from a command line.

    Raises:
        OptionError: if a name is not a field, or a value does not fit.
    """
    return cls(**given_options(cls, values))


def given_options(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert only the given options; see `make_options`."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in fields:
            hint = did_you_mean(name, fields, cutoff=0.4)
            raise OptionError(
                f"unknown builder option {name!r}; known are {', '.join(fields)}{hint}"
            )
    return {name: _convert(fields[name], value) for name, value in values.items()}


def _convert(field: dataclasses.Field[Any], value: Any) -> Any:
    if isinstance(field.default, str):
        return _word(field, value)
    kind, least, most = type(field.default), field.metadata["least"], field.metadata["most"]
    number = _number(kind, value)
    if number is None or not least <= number <= most:
        wanted = "whole number" if kind is int else "number"
        limits = f"of at least {least}" if most == math.inf else f"in {least}..{most}"
        raise OptionError(f"builder option {field.name} must be a {wanted} {limits}, not {value!r}")
    return number


def _word(field: dataclasses.Field[Any], value: Any) -> str:
    words = field.metadata.get("words")
    if isinstance(value, os.PathLike):  # of a list, or of a folder of photos
        value = os.fspath(value)
    if isinstance(value, str) and (words is None or value in words):
        return value
    wanted = "a text" if words is None else f"one of {', '.join(words)}"
    hint = did_you_mean(str(value), words or ())
    raise OptionError(f"builder option {field.name} must be {wanted}, not {value!r}{hint}")


def _number(kind: type, value: Any) -> Any:
    """Convert a value to a number of this kind; `None` if it is not one."""
    try:
        number = kind(value)
        finite = math.isfinite(number)
    except (TypeError, ValueError, OverflowError):  # of whole numbers that no float holds
        return None
    same = isinstance(value, str) or number == value
    return number if same and finite and not isinstance(value, bool) else None
