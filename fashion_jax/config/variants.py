"""Variants that a config offers after the colon of `--config=NAME:VARIANT`."""

from collections.abc import Mapping
from typing import Any

from fashion_jax.config.errors import ConfigError


def choose_variants(arg: str, *groups: Mapping[str, Any]) -> list[Any]:
    """Read `get_config`'s argument: names separated by commas, at most one of each group.

    Args:
        arg: the argument, such as "b16,336".
        *groups: values by name; the first of a group is its default.

    Returns:
        A value of each group.

    Raises:
        ConfigError: if a name is in no group, or two are in one.

    Example:
        >>> choose_variants("336", {"s14": "small", "b14": "base"}, {"224": 224, "336": 336})
        ['small', 336]
    """
    chosen = [next(iter(group)) for group in groups]
    given: set[int] = set()
    for name in filter(None, arg.split(",")):
        place = next((at for at, group in enumerate(groups) if name in group), None)
        if place is None or place in given:
            raise ConfigError(
                f"unknown variant {arg!r}; choose {' and '.join(map(_one_of, groups))}, "
                "separated by commas"
            )
        given.add(place)
        chosen[place] = name
    return [group[name] for group, name in zip(groups, chosen, strict=True)]


def _one_of(group: Mapping[str, Any]) -> str:
    return f"one of {', '.join(group)}"
