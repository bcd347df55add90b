"""A ladder of experiments, each of which adds one trick to another."""

import dataclasses
import pathlib
import re
import typing
from collections.abc import Mapping

from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig
from fashion_jax.config.files import (
    from_nested_dict,
    load_module,
    set_fields,
    set_values,
    to_config_dict,
)


@dataclasses.dataclass(frozen=True)
class Rung:
    """One experiment of a ladder.

    Attributes:
        name: what it adds.
        on: name of the rung that it builds upon; `None` for the first.
        config: the whole experiment.
    """

    name: str
    on: str | None
    config: ExperimentConfig

    @property
    def folder(self) -> str:
        """The name, fit for a folder."""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")


def load_ladder(path: str | pathlib.Path, overrides: Mapping[str, str]) -> list[Rung]:
    """Reads the rungs of a config file that has `get_ladder()` beside `get_config()`.

    `get_ladder()` returns a list of `(name, changes)` or `(name, changes, on)`. Changes are fields
    such as `{"loss.center_weight": 5e-4}` on top of the rung before, or of the one named by `on`.

    Args:
        path: the file.
        overrides: such as `{"training.epochs": "3"}`, of every rung; they come before its changes.

    Raises:
        ConfigError: if the file has no ladder, or a rung or a field does not exist.
    """
    module = load_module(pathlib.Path(path))
    if not hasattr(module, "get_ladder"):
        raise ConfigError(
            f"{pathlib.Path(path).resolve()} has no get_ladder(): a list of (name, changes); see "
            "configs/ladder_small.py"
        )
    base = module.get_config()
    set_fields(base, overrides)
    rungs: dict[str, tuple[str | None, dict[str, typing.Any]]] = {}
    previous = None
    for name, changes, *on in module.get_ladder():
        below = on[0] if on else previous
        if below is not None and below not in rungs:
            raise ConfigError(
                f"rung {name!r} builds upon {below!r}, which is not before it"
                f"{nearest(below, list(rungs))}"
            )
        if name in rungs:
            raise ConfigError(f"two rungs are named {name!r}")
        rungs[name] = below, {**(rungs[below][1] if below else {}), **changes}
        previous = name
    return [
        Rung(name, below, _config(base, name, changes)) for name, (below, changes) in rungs.items()
    ]


def _config(base: typing.Any, name: str, changes: Mapping[str, typing.Any]) -> ExperimentConfig:
    editable = to_config_dict(from_nested_dict(base.to_dict()))
    try:
        set_values(editable, changes)
        return from_nested_dict(editable.to_dict())
    except ConfigError as error:
        raise ConfigError(f"rung {name!r}: {error}") from error
