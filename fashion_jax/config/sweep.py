"""A sweep: variants of one experiment, each of which changes some fields of another."""

import dataclasses
import os
import re
import typing
from collections.abc import Mapping, Sequence

import ml_collections

from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig, from_nested_dict, to_config_dict
from fashion_jax.config.loading import editable_config, load_module, set_fields


@dataclasses.dataclass(frozen=True)
class Variant:
    """One variant, as `get_sweep()` lists it.

    Attributes:
        name: name of what changes.
        changes: values by field, such as `{"loss.center_weight": 5e-4}`.
        on: name of an earlier variant that the changes apply to; `None` for the one before.
    """

    name: str
    changes: Mapping[str, typing.Any]
    on: str | None = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A variant with its whole config.

    Attributes:
        name: the variant's name.
        on: name of the variant that it builds on; `None` for the first.
        config: the whole experiment.
    """

    name: str
    on: str | None
    config: ExperimentConfig

    @property
    def folder(self) -> str:
        """The name, fit for a folder."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")


def load_sweep(
    source: str | os.PathLike[str], overrides: Mapping[str, str] | None = None
) -> list[Experiment]:
    """Read a config file with both `get_config()` and `get_sweep()`.

    `get_sweep()` returns a list of `Variant`; the first one's changes apply to `get_config()`.

    Args:
        source: path, or name of a shipped config; see `load_config`.
        overrides: texts such as `{"training.epochs": "3"}`; applied before a variant's changes.

    Raises:
        ConfigError: if the file has no sweep, or a variant or a field does not exist.
    """
    module, variant = load_module(source)
    if not hasattr(module, "get_sweep"):
        raise ConfigError(
            f"{module.__file__} has no get_sweep(), which returns a list of Variant; see "
            "configs/ablation_small.py"
        )
    base = editable_config(module, variant)
    set_fields(base, overrides or {})
    changes = _accumulate(module.get_sweep())
    return [
        Experiment(name, on, _config(base, name, changed))
        for name, (on, changed) in changes.items()
    ]


def _accumulate(
    variants: Sequence[Variant],
) -> dict[str, tuple[str | None, dict[str, typing.Any]]]:
    """By name: the variant that it builds on, and all changes since the base."""
    known: dict[str, tuple[str | None, dict[str, typing.Any]]] = {}
    previous = None
    for variant in variants:
        on = variant.on or previous
        if on is not None and on not in known:
            raise ConfigError(
                f"variant {variant.name!r} builds on {on!r}, which does not come before it"
                f"{nearest(on, list(known))}"
            )
        if variant.name in known:
            raise ConfigError(f"two variants are named {variant.name!r}")
        below = known[on][1] if on else {}
        known[variant.name] = on, {**below, **variant.changes}
        previous = variant.name
    return known


def _config(
    base: ml_collections.ConfigDict, name: str, changes: Mapping[str, typing.Any]
) -> ExperimentConfig:
    try:
        editable = to_config_dict(from_nested_dict(base.to_dict()))
        set_fields(editable, changes)
        return from_nested_dict(editable.to_dict())
    except ConfigError as error:
        raise ConfigError(f"variant {name!r}: {error}") from error
