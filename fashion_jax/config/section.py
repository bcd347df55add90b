"""A section of the config: its fields are checked whenever one is made, by types with bounds."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from fashion_jax.config.allowed import allowed_values, choices
from fashion_jax.config.errors import ConfigError
from fashion_jax.similar_names import did_you_mean
from fashion_jax.strict_json import JsonError, check_plain

PositiveInt = Annotated[int, Meta(ge=1)]
NonNegativeInt = Annotated[int, Meta(ge=0)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegativeFloat = Annotated[float, Meta(ge=0)]
Probability = Annotated[float, Meta(ge=0, le=1)]
Ratio = Annotated[float, Meta(ge=0, le=1)]
PositiveRatio = Annotated[float, Meta(gt=0, le=1)]
RatioBelowOne = Annotated[float, Meta(ge=0, lt=1)]


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
    types, name, fields = field_types(section), section.__name__.removesuffix("Config").lower(), {}
    for field, value in values.items():
        try:
            fields[field] = msgspec.convert(value, types[field])
        except msgspec.ValidationError:
            meant = did_you_mean(str(value), [str(choice) for choice in choices(types[field])])
            raise ConfigError(
                f"config field '{name}.{field}' must be {allowed_values(types[field])}, got "
                f"{value!r}{meant}"
            ) from None
        try:
            check_plain(fields[field], f"config field '{name}.{field}'")
        except JsonError as error:  # `config.json` could not be read again
            raise ConfigError(str(error)) from None
    return fields
