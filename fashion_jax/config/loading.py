"""Config files: found by path or by a shipped config's name, run, and changed field by field."""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import itertools
import os
import pathlib
import pkgutil
import traceback
import types
import typing
from collections.abc import Iterator, Mapping

import ml_collections

from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import SECTIONS, ExperimentConfig, from_nested_dict
from fashion_jax.config.section import field_types
from fashion_jax.similar_names import did_you_mean

_SHIPPED = "fashion_jax.configs"
_NOT_EXPERIMENTS = ("recipes",)
# Errors of config fields, whose messages say all.
_PLAIN = (AttributeError, KeyError, TypeError)
_WORDS = {"true": True, "false": False, "none": None}


def load_config(
    source: str | os.PathLike[str], overrides: Mapping[str, typing.Any] | None = None
) -> ExperimentConfig:
    """Read a config file and apply overrides.

    Args:
        source: path of a file with `get_config()`, or the name of a shipped config; followed by
            `:VARIANT` where the config has variants, such as `street2shop_vit:b16,336`.
        overrides: values by field, such as `{"training.epochs": 3}`, or their texts.

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
    name = os.fspath(source)
    before, colon, variant = name.rpartition(":")
    in_path = "/" in variant or os.sep in variant  # a drive's colon, not a variant's
    if colon and not in_path and not pathlib.Path(name).exists():
        name = before
    else:
        variant = ""
    with explaining(name):
        return _run(pathlib.Path(name)), variant


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
    with explaining(str(name)):
        config = module.get_config(variant) if variant else module.get_config()
    if not isinstance(config, ml_collections.ConfigDict):
        raise ConfigError(f"{name}: get_config() must return default_config() with changes")
    return config


@contextlib.contextmanager
def explaining(name: str) -> Iterator[None]:
    """Name the file and the line of whatever fails in a config file.

    Raises:
        ConfigError: in the place of any exception but itself.
    """
    try:
        yield
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # a config file is code: it may raise anything
        said = error.msg if isinstance(error, SyntaxError) else error  # which has the line twice
        what = str(error) if isinstance(error, _PLAIN) else f"{type(error).__name__}: {said}"
        raise ConfigError(f"{name}{_line_of(error, name)}: {what}") from error


def _line_of(error: BaseException, name: str) -> str:
    if isinstance(error, SyntaxError):
        line = error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        file = pathlib.Path(name).resolve()
        lines = [each.lineno for each in frames if pathlib.Path(each.filename).resolve() == file]
        line = lines[-1] if lines else None
    return "" if line is None else f", line {line}"


def choose_variants(arg: str, *groups: Mapping[str, typing.Any]) -> list[typing.Any]:
    """Read `get_config`'s argument: names separated by commas, at most one of each group.

    Args:
        arg: the argument, such as "b16,336".
        *groups: values by name; the first of a group is its default.

    Returns:
        A value of each group.

    Raises:
        ConfigError: if a name is in no group, or two are in one.

    Examples:
        >>> choose_variants("336", {"s14": "small", "b14": "base"}, {"224": 224, "336": 336})
        ['small', 336]
    """
    chosen = [next(iter(group)) for group in groups]
    given: set[int] = set()
    for name in filter(None, arg.split(",")):
        place = next((at for at, group in enumerate(groups) if name in group), None)
        if place is None or place in given:
            choices = " and ".join(f"one of {', '.join(group)}" for group in groups)
            hint = did_you_mean(name, itertools.chain(*groups)) if place is None else ""
            raise ConfigError(
                f"unknown variant {arg!r}; choose {choices}, separated by commas{hint}"
            )
        given.add(place)
        chosen[place] = name
    return [group[name] for group, name in zip(groups, chosen, strict=True)]


def set_fields(config: ml_collections.ConfigDict, overrides: Mapping[str, typing.Any]) -> None:
    """Change fields in place, by values such as `{"training.epochs": 3}` or their texts.

    The text of a list is `(40, 70)` or `40,70`.

    Raises:
        ConfigError: if a field does not exist.
    """
    for name, value in overrides.items():
        section, field = _split(config, name)
        if isinstance(value, str):
            value = _parse(value, field_types(SECTIONS[section])[field])
        config[section][field] = value


def _run(path: pathlib.Path) -> types.ModuleType:
    shipped = importlib.import_module(_SHIPPED)
    if not path.is_file():
        return importlib.import_module(f"{_SHIPPED}.{_shipped_name(path)}")
    if path.resolve().parent == pathlib.Path(shipped.__path__[0]).resolve():
        return importlib.import_module(f"{_SHIPPED}.{path.stem}")
    # Named like a shipped one, so that the relative imports of a copy find the shipped recipes.
    spec = importlib.util.spec_from_file_location(f"{_SHIPPED}.{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.resolve()} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _shipped_name(path: pathlib.Path) -> str:
    """The name of a shipped config, given in the place of a path."""
    if path.name != str(path):  # with a folder: cannot be a name
        there = sorted(file.stem for file in path.parent.glob("*.py") if file.stem != "__init__")
        hint = nearest(path.stem, there) if there else ""
        raise ConfigError(f"no config file {path.resolve()}{hint}")
    name, names = path.stem, shipped_configs()
    if name not in names:
        raise ConfigError(
            f"no config file {path.resolve()} and no shipped config {name!r}{nearest(name, names)}"
        )
    return name


def _split(config: ml_collections.ConfigDict, name: str) -> tuple[str, str]:
    """Section and field of a full name."""
    names = [f"{section}.{field}" for section, fields in config.items() for field in fields]
    if name not in names:
        raise ConfigError(f"unknown config field {name!r}{nearest(name, names)}")
    section, field = name.split(".")
    return section, field


def _parse(text: str, kind: typing.Any) -> typing.Any:
    """Read `3`, `0.5`, `None`, `(40, 70)`; whether it fits the field is checked later."""
    if typing.get_origin(kind) is tuple and "(" not in text and "[" not in text:
        items = [item.strip() for item in text.split(",") if item.strip()]
        return tuple(_parse(item, typing.get_args(kind)[0]) for item in items)
    try:
        value = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        value = _WORDS.get(text.lower(), text)  # any other text stands for itself
    is_text = str in (kind, getattr(kind, "__origin__", None))  # with bounds or without
    if typing.get_origin(kind) is typing.Literal:
        is_text = text in typing.get_args(kind)  # the neck "none" is a name
    return text if is_text and not isinstance(value, str) else value
