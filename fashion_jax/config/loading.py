"""Config files: found by path or by a shipped config's name, run, and resolved to a variant."""

import importlib
import importlib.util
import inspect
import os
import pathlib
import pkgutil
import types
from collections.abc import Mapping

import ml_collections

from fashion_jax.config.conversion import from_nested_dict
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig
from fashion_jax.config.overrides import set_fields

_SHIPPED = "fashion_jax.configs"
_NOT_EXPERIMENTS = ("recipes",)


def load_config(
    source: str | os.PathLike[str], overrides: Mapping[str, str] | None = None
) -> ExperimentConfig:
    """Read a config file and apply overrides.

    Args:
        source: path of a file with `get_config()`, or the name of a shipped config; followed by
            `:VARIANT` where the config has variants, such as `street2shop_vit:b16,336`.
        overrides: texts such as `{"training.epochs": "3"}`.

    Raises:
        ConfigError: if the config, the variant or a field does not exist, or a value does not fit.
    """
    module, variant = load_module(source)
    config = editable_config(module, variant)
    set_fields(config, overrides or {})
    return from_nested_dict(config.to_dict())


def shipped_configs() -> list[str]:
    """Names of the configs that are installed with the package."""
    modules = pkgutil.iter_modules(importlib.import_module(_SHIPPED).__path__)
    return sorted(module.name for module in modules if module.name not in _NOT_EXPERIMENTS)


def load_module(source: str | os.PathLike[str]) -> tuple[types.ModuleType, str]:
    """Run a config file.

    Args:
        source: see `load_config`.

    Returns:
        The module, and the variant's text ("" for none).

    Raises:
        ConfigError: if the config does not exist, is not a Python file, or fails.
    """
    name, variant = _split_variant(os.fspath(source))
    path = pathlib.Path(name)
    try:
        return _find(path), variant
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{name}: {error}") from error


def editable_config(module: types.ModuleType, variant: str) -> ml_collections.ConfigDict:
    """Call a module's `get_config()`.

    Raises:
        ConfigError: if the module has none, it has no variants, or it fails.
    """
    name = module.__file__
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{name} has no get_config(); see the shipped configs")
    if variant and not inspect.signature(module.get_config).parameters:
        raise ConfigError(f"{name} has no variants, got {variant!r}; leave out the ':{variant}'")
    try:
        config = module.get_config(variant) if variant else module.get_config()
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{name}: {error}") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(f"{name}: get_config() must return default_config() with changes")
    return config


def _split_variant(source: str) -> tuple[str, str]:
    """Divides `PATH_OR_NAME:VARIANT`."""
    name, colon, variant = source.rpartition(":")
    in_path = "/" in variant or os.sep in variant  # a drive's colon, not a variant's
    if not colon or in_path or pathlib.Path(source).exists():
        return source, ""
    return name, variant


def _find(path: pathlib.Path) -> types.ModuleType:
    if path.is_file():
        return _run(path)
    if path.name == str(path):  # without a folder: may be a name
        return _import_shipped(path)
    there = sorted(file.stem for file in path.parent.glob("*.py") if file.stem != "__init__")
    hint = nearest(path.stem, there) if there else ""
    raise ConfigError(f"no config file {path.resolve()}{hint}")


def _import_shipped(path: pathlib.Path) -> types.ModuleType:
    name, names = path.stem, shipped_configs()
    if name not in names:
        raise ConfigError(
            f"no config file {path.resolve()} and no shipped config {name!r}{nearest(name, names)}"
        )
    return importlib.import_module(f"{_SHIPPED}.{name}")


def _run(path: pathlib.Path) -> types.ModuleType:
    shipped = importlib.import_module(_SHIPPED)
    if path.resolve().parent == pathlib.Path(shipped.__path__[0]).resolve():
        return importlib.import_module(f"{_SHIPPED}.{path.stem}")
    # Named like a shipped one, so that the relative imports of a copy find the shipped recipes.
    spec = importlib.util.spec_from_file_location(f"{_SHIPPED}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.resolve()} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
