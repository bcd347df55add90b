"""Builder options by name; a wrong name or value is refused with the nearest right name."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any, TypeVar

from fashion_jax.errors import FashionJaxError

Options = TypeVar("Options")


class OptionError(FashionJaxError):
    """A builder option that does not exist or does not fit."""


def option(default: Any, least: int | float = 0, most: int | float = math.inf) -> Any:
    """A field of an options dataclass: a number, of the default's type, in least..most."""
    return dataclasses.field(default=default, metadata={"least": least, "most": most})


def choice(default: str, *others: str) -> Any:
    """A field of an options dataclass: one of a few words."""
    return dataclasses.field(default=default, metadata={"words": (default, *others)})


def text(default: str = "") -> Any:
    """A field of an options dataclass: any text."""
    return dataclasses.field(default=default)


def make_options(cls: type[Options], values: Mapping[str, Any]) -> Options:
    """Makes an options dataclass out of names and values.

    Args:
        cls: a dataclass whose fields were made with `option`, `choice` or `text`.
        values: by name; or as the texts that a command line gave.

    Raises:
        OptionError: a name that is no field, or a value that does not fit.
    """
    return cls(**given_options(cls, values))


def given_options(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Only the options that were given, converted; see `make_options`."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(
                f"no builder option named {name!r}; {hint}there are {', '.join(fields)}"
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
    if isinstance(value, str) and (words is None or value in words):
        return value
    wanted = "a text" if words is None else f"one of {', '.join(words)}"
    raise OptionError(f"builder option {field.name} must be {wanted}, not {value!r}")


def _number(kind: type, value: Any) -> Any:
    """The value as a number of this kind; `None` where it is none."""
    try:
        number = kind(value)
    except (TypeError, ValueError, OverflowError):
        return None
    same = isinstance(value, str) or number == value
    return number if same and not isinstance(value, bool) and math.isfinite(number) else None
