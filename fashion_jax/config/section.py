"""A section of the config: its fields are checked whenever one is made."""

import dataclasses
import typing
from collections.abc import Mapping

import msgspec

from fashion_jax.config.allowed import allowed_values, choices
from fashion_jax.config.errors import ConfigError, did_you_mean


@dataclasses.dataclass(frozen=True)
class Section:
    """Base of the sections' frozen dataclasses: a section that exists is valid."""

    def __post_init__(self) -> None:
        """Check every field against its type and bounds.

        Raises:
            ConfigError: with the field's full name, what was found and what is allowed.
        """
        for field, value in checked(type(self), vars(self)).items():
            object.__setattr__(self, field, value)  # frozen for everybody else


def field_types(section: type[Section]) -> dict[str, typing.Any]:
    """Types of a section's fields, with their bounds."""
    return typing.get_type_hints(section, include_extras=True)


def checked(section: type[Section], values: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Values of a section's fields; integers become floats and lists tuples as the types ask.

    Raises:
        ConfigError: for the first value that does not fit.
    """
    types, name = field_types(section), section.__name__.removesuffix("Config").lower()
    return {
        field: _convert(f"{name}.{field}", value, types[field]) for field, value in values.items()
    }


def _convert(name: str, value: typing.Any, kind: typing.Any) -> typing.Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        raise ConfigError(
            f"config field {name!r} must be {allowed_values(kind)}, got {value!r}"
            f"{did_you_mean(str(value), [str(choice) for choice in choices(kind)])}"
        ) from None
