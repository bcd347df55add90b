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


def make_options(cls: type[Options], values: Mapping[str, Any]) -> Options:
    """Makes an options dataclass out of names and values.

    Args:
        cls: a dataclass whose fields are numbers with defaults.
        values: by name; numbers, or texts that a command line gave.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}? " if near else ""
            raise OptionError(
                f"no builder option named {name!r}; {hint}there are {', '.join(fields)}"
            )
    converted = {
        name: _convert(name, value, type(fields[name].default)) for name, value in values.items()
    }
    return cls(**converted)


def _convert(name: str, value: Any, kind: type) -> Any:
    try:
        number = kind(value)
        fits = not isinstance(value, bool) and math.isfinite(number) and number >= 0
        fits = fits and (isinstance(value, str) or number == value)
    except (TypeError, ValueError):
        fits = False
    if not fits:
        wanted = "whole number" if kind is int else "number"
        raise OptionError(f"builder option {name} must be a {wanted} of at least 0, not {value!r}")
    return number
