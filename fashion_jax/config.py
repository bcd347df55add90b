"""Experiment configs: an editable `ConfigDict` on the outside, frozen dataclasses on the inside.

A config file defines `get_config()` and returns `default_config()` with its own values filled in.
`load_config` reads such a file, applies `--config.field=value` overrides and validates the
result; an unknown field or a value of the wrong type is refused with the nearest right name.
"""

import ast
import dataclasses
import difflib
import importlib.util
import json
import math
import pathlib
import types
import typing
from collections.abc import Mapping

import ml_collections

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import write_whole


class ConfigError(FashionJaxError):
    """A config field or value that does not exist or does not fit."""


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which built datasets to read, and how.

    Attributes:
        dataset: name of a builder in `data_builders/`.
        more_datasets: further ones to train on at the same time; their identities stay apart.
        weights: share of each dataset in a batch, `dataset` first, in any unit; empty for shares
            by the numbers of training identities.
        data_dir: folder that `fashion-jax data build` wrote to.
        identities_per_batch: P, distinct products in a training batch, over all devices and hosts.
        photos_per_identity: K, photos of each of them.
        workers: Grain worker processes (0 reads in threads of this process).
        threads: reading threads per process.
    """

    dataset: str = "synthetic_street2shop"
    more_datasets: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    data_dir: str = "data"
    identities_per_batch: int = 16
    photos_per_identity: int = 4
    workers: int = 0
    threads: int = 2

    @property
    def datasets(self) -> tuple[str, ...]:
        """All datasets that are trained on, `dataset` first."""
        return (self.dataset, *self.more_datasets)


@dataclasses.dataclass(frozen=True)
class ImageConfig:
    """A photo as the network sees it.

    Attributes:
        height: in pixels.
        width: in pixels.
        pixel_mean: subtracted from red, green and blue, in units of 0..255; empty for what the
            backbone's published weights expect.
        pixel_std: what they are divided by then.
    """

    height: int = 256
    width: int = 128
    pixel_mean: tuple[float, ...] = ()
    pixel_std: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class AugmentConfig:
    """Training augmentations of the strong baseline (arXiv:1906.08332, section 3).

    Attributes:
        flip_probability: horizontal flip.
        pad: pixels of zero padding before the random crop.
        erase_probability: random erasing (arXiv:1708.04896).
        erase_area_min: smallest erased part of the area.
        erase_area_max: largest erased part of the area.
        erase_aspect_min: smallest aspect ratio; the largest is its published 3.33.
        erase_aspect_max: largest aspect ratio (height / width).
    """

    flip_probability: float = 0.5
    pad: int = 10
    erase_probability: float = 0.5
    erase_area_min: float = 0.02
    erase_area_max: float = 0.4
    erase_aspect_min: float = 0.3
    erase_aspect_max: float = 3.33


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The embedder.

    Attributes:
        backbone: a name of the table in docs/models.md, such as `resnet50`.
        pretrained: `none`, `package` (weights from the backbone's Python package) or the path of
            a `.pth` or `.safetensors` file; see docs/weights.md.
        last_stride: stride of the backbone's last stage, 1 or 2.
        stem_relu: whether a ResNet's stem has its ReLU (the ReID reference networks lack it).
        stem_pool: `padded` (a ResNet's pooling after the stem as published) or `ceil` (it begins
            at the border without padding, as fast-reid's).
        pooling: `average`, `max`, `average_max` (their sum), `gem`, `learned_gem`, or `token`
            (a transformer's class token).
        gem_power: of `gem`; what `learned_gem` starts from.
        neck: `bnneck`, `none`, `linear`, `linear_bnneck` or `linear_bn_relu`.
        embedding_width: of the linear necks; 0 for the others, which keep the backbone's.
        dropout: share of the embedding's numbers that the classifier does not see in training.
        classifier_bias: whether the classifier has a bias.
        batch_norm_group: photos whose BatchNorm statistics go together in training; 0 for the
            whole batch over all devices and hosts. 32, say, is what a device with 32 photos would
            see of its own.
        gradient_checkpointing: compute each block again in the backward pass instead of keeping
            what it made: less memory, more time.
        compute_dtype: `float32` or `bfloat16`; parameters, statistics, losses and distances
            stay in float32.
    """

    backbone: str = "resnet50"
    pretrained: str = "none"
    last_stride: int = 1
    stem_relu: bool = True
    stem_pool: str = "padded"
    pooling: str = "average"
    gem_power: float = 3.0
    neck: str = "bnneck"
    embedding_width: int = 0
    dropout: float = 0.0
    classifier_bias: bool = False
    batch_norm_group: int = 0
    gradient_checkpointing: bool = False
    compute_dtype: str = "float32"


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights and settings of the objective's terms; a weight of 0 leaves the term out.

    Attributes:
        identity_weight: cross entropy over training identities.
        label_smoothing: its smoothing.
        triplet_weight: batch-hard triplet loss.
        triplet_margin: its margin; `None` for the soft margin.
        center_weight: center loss.
    """

    identity_weight: float = 1.0
    label_smoothing: float = 0.1
    triplet_weight: float = 1.0
    triplet_margin: float | None = 0.3
    center_weight: float = 5e-4


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """Adam with coupled weight decay, warm-up and steps.

    Attributes:
        learning_rate: after the warm-up.
        weight_decay: added to the gradient as `weight_decay * parameter`.
        warmup_epochs: length of the linear warm-up, which starts at 1 % of the rate.
        milestones: epochs at which the rate is multiplied by `decay_factor`; may be fractions
            when `per_step`.
        decay_factor: see `milestones`.
        per_step: follow the schedule continuously instead of holding the rate through an epoch.
        center_learning_rate: SGD rate of the centers, on the unweighted gradient.
    """

    learning_rate: float = 3.5e-4
    weight_decay: float = 5e-4
    warmup_epochs: float = 10.0
    milestones: tuple[float, ...] = (40.0, 70.0)
    decay_factor: float = 0.1
    per_step: bool = False
    center_learning_rate: float = 0.5


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The training loop.

    Attributes:
        epochs: passes over all training photos.
        seed: of initial weights, batches and augmentations.
        evaluate_every_epochs: validation, and a checkpoint with its mAP.
        checkpoint_every_steps: further checkpoints in between; 0 for none.
        log_every_steps: lines in `metrics.jsonl`.
    """

    epochs: int = 120
    seed: int = 0
    evaluate_every_epochs: int = 1
    checkpoint_every_steps: int = 0
    log_every_steps: int = 10


@dataclasses.dataclass(frozen=True)
class MeshConfig:
    """Devices along each axis of the mesh; -1 takes all that are left."""

    data: int = -1
    model: int = 1


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Evaluation.

    Attributes:
        batch_size: photos embedded at once, over all devices.
    """

    batch_size: int = 64


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """Everything that a run needs; stored as `config.json` in its workdir."""

    data: DataConfig = DataConfig()
    image: ImageConfig = ImageConfig()
    augment: AugmentConfig = AugmentConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    mesh: MeshConfig = MeshConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


CONFIG_FILE = "config.json"
_SCALARS = {int: "a whole number", float: "a number", str: "a text", bool: "True or False"}
_LISTS = {float: "a list of numbers, such as (1, 2)", str: "a list of texts, such as ('a', 'b')"}


def default_config() -> ml_collections.ConfigDict:
    """The defaults of every field, to be changed by a config file; no field can be added."""
    return to_config_dict(ExperimentConfig())


def to_config_dict(config: ExperimentConfig) -> ml_collections.ConfigDict:
    """A config with all its fields open for changes."""
    return ml_collections.ConfigDict(to_nested_dict(config), type_safe=False).lock()


def to_nested_dict(config: ExperimentConfig) -> dict[str, dict[str, typing.Any]]:
    """Plain nested dicts, as stored in `config.json`."""
    return dataclasses.asdict(config)


def load_config(path: str | pathlib.Path, overrides: Mapping[str, str]) -> ExperimentConfig:
    """Reads a config file and applies overrides such as `{"training.epochs": "3"}`.

    Raises:
        ConfigError: if the file or a field does not exist, or a value does not fit.
    """
    config = _get_config(pathlib.Path(path))
    set_fields(config, overrides)
    return from_nested_dict(config.to_dict())


def set_fields(config: ml_collections.ConfigDict, overrides: Mapping[str, str]) -> None:
    """Changes fields by texts such as `{"training.epochs": "3"}`, in place.

    Raises:
        ConfigError: if a field does not exist.
    """
    fields = [f"{section}.{field}" for section, values in config.items() for field in values]
    for name, text in overrides.items():
        if name not in fields:
            raise ConfigError(f"there is no config field {name!r}{nearest(name, fields)}")
        section, field = name.split(".")
        config[section][field] = _literal(text)


def from_nested_dict(values: Mapping[str, typing.Any]) -> ExperimentConfig:
    """Validates nested dicts into an `ExperimentConfig`.

    Raises:
        ConfigError: naming a field that is unknown or whose value does not fit.
    """
    sections = {field.name: field.type for field in dataclasses.fields(ExperimentConfig)}
    _refuse_unknown(values, list(sections), "section")
    made = {
        name: _section(typing.cast(type, sections[name]), name, section)
        for name, section in values.items()
    }
    config = ExperimentConfig(**made)
    _check_ranges(config)
    return config


def store_config(config: ExperimentConfig, path: pathlib.Path) -> None:
    """Writes `config.json`; the file is there whole or not at all."""
    write_whole(path, (json.dumps(to_nested_dict(config), indent=2) + "\n").encode())


def read_stored_config(path: pathlib.Path) -> ExperimentConfig:
    """Reads what `store_config` wrote."""
    return from_nested_dict(json.loads(path.read_text()))


def differences(first: ExperimentConfig, second: ExperimentConfig) -> list[str]:
    """One line for each field whose values differ: `section.field: first != second`."""
    one, other = to_nested_dict(first), to_nested_dict(second)
    return [
        f"{section}.{field}: {value!r} != {other[section][field]!r}"
        for section, values in one.items()
        for field, value in values.items()
        if value != other[section][field]
    ]


def nearest(name: str, names: list[str]) -> str:
    """A hint at the name that was meant, or all of them where none is near."""
    last = name.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or [
        full for full in names if full.rsplit(".", 1)[-1] == last
    ]
    return f"; did you mean {near[0]!r}?" if near else f"; there are: {', '.join(names)}"


def _get_config(path: pathlib.Path) -> ml_collections.ConfigDict:
    if not path.is_file():
        there = sorted(p.stem for p in path.parent.glob("*.py") if p.stem != "__init__")
        hint = nearest(path.stem, there) if there else ""
        raise ConfigError(f"there is no config file {path.resolve()}{hint}")
    spec = importlib.util.spec_from_file_location(f"config_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path.resolve()} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.get_config()
    except (AttributeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path.resolve()}: {error}") from error


def _literal(text: str) -> typing.Any:
    """Reads `3`, `0.5`, `None`, `(40, 70)`; whatever is no Python literal is a text."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _section(kind: type, name: str, values: Mapping[str, typing.Any]) -> typing.Any:
    if not isinstance(values, Mapping):
        raise ConfigError(f"config section {name!r} has to hold fields, got {values!r}")
    types_of = typing.get_type_hints(kind)
    _refuse_unknown(values, list(types_of), f"field in {name!r}:")
    return kind(
        **{
            field: _checked(f"{name}.{field}", types_of[field], value)
            for field, value in values.items()
        }
    )


def _refuse_unknown(values: Mapping[str, typing.Any], names: list[str], what: str) -> None:
    for name in values:
        if name not in names:
            raise ConfigError(f"there is no config {what} {name!r}{nearest(name, names)}")


def _checked(name: str, kind: typing.Any, value: typing.Any) -> typing.Any:
    """The value as the field's type, or an error that names the field."""
    if isinstance(kind, types.UnionType):
        if value is None:
            return None
        (kind,) = [option for option in typing.get_args(kind) if option is not type(None)]
    if typing.get_origin(kind) is tuple:
        item_kind = typing.get_args(kind)[0]
        if not isinstance(value, list | tuple):
            raise ConfigError(f"config field {name!r} has to be {_LISTS[item_kind]}, got {value!r}")
        return tuple(_checked(name, item_kind, item) for item in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(f"config field {name!r} has to be {_SCALARS[kind]}, got {value!r}")
    return value


_AT_LEAST_ONE = (
    "data.identities_per_batch",
    "data.photos_per_identity",
    "data.threads",
    "image.height",
    "image.width",
    "training.epochs",
    "training.evaluate_every_epochs",
    "training.log_every_steps",
    "evaluation.batch_size",
)
_NOT_NEGATIVE = (
    "augment.pad",
    "augment.flip_probability",
    "augment.erase_probability",
    "data.workers",
    "loss.identity_weight",
    "loss.triplet_weight",
    "model.batch_norm_group",
    "model.dropout",
    "model.embedding_width",
    "loss.center_weight",
    "optimizer.learning_rate",
    "optimizer.weight_decay",
    "optimizer.warmup_epochs",
    "training.seed",
    "training.checkpoint_every_steps",
)
_CHOICES: dict[str, tuple[typing.Any, ...]] = {
    "model.last_stride": (1, 2),
    "model.pooling": ("average", "max", "average_max", "gem", "learned_gem", "token"),
    "model.stem_pool": ("padded", "ceil"),
    "model.neck": ("bnneck", "none", "linear", "linear_bnneck", "linear_bn_relu"),
    "model.compute_dtype": ("float32", "bfloat16", "float64"),
}


def _check_ranges(config: ExperimentConfig) -> None:
    for name in _AT_LEAST_ONE:
        if _value(config, name) < 1:
            raise ConfigError(
                f"config field {name!r} has to be at least 1, got {_value(config, name)}"
            )
    for name in _NOT_NEGATIVE:
        if _value(config, name) < 0:
            raise ConfigError(
                f"config field {name!r} cannot be negative, got {_value(config, name)}"
            )
    for name, allowed in _CHOICES.items():
        if _value(config, name) not in allowed:
            hint = nearest(str(_value(config, name)), [str(choice) for choice in allowed])
            raise ConfigError(f"config field {name!r} cannot be {_value(config, name)!r}{hint}")
    _check_datasets(config.data)
    _check_pixels(config.image)
    _check_model(config)


def _check_pixels(image: ImageConfig) -> None:
    for name, values in (("pixel_mean", image.pixel_mean), ("pixel_std", image.pixel_std)):
        if len(values) not in (0, 3):
            raise ConfigError(
                f"config field 'image.{name}' has to hold three numbers, for red, green and blue, "
                f"or none, got {values}"
            )
    if not all(value > 0 for value in image.pixel_std):
        raise ConfigError(
            f"config field 'image.pixel_std' has to hold positive numbers, got {image.pixel_std}"
        )


def _check_model(config: ExperimentConfig) -> None:
    model = config.model
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    if model.batch_norm_group and batch % model.batch_norm_group:
        raise ConfigError(
            f"config field 'model.batch_norm_group' has to divide the batch of {batch} photos "
            "(data.identities_per_batch times data.photos_per_identity), "
            f"got {model.batch_norm_group}"
        )
    if model.dropout >= 1:
        raise ConfigError(f"config field 'model.dropout' has to be below 1, got {model.dropout}")
    if not model.gem_power > 0:
        raise ConfigError(
            f"config field 'model.gem_power' has to be above 0, got {model.gem_power}"
        )


def _check_datasets(data: DataConfig) -> None:
    names = data.datasets
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise ConfigError(
            "'data.dataset' and 'data.more_datasets' together name a dataset more than once: "
            f"{', '.join(twice)}; use 'data.weights' to show it more often"
        )
    if data.weights and len(data.weights) != len(names):
        raise ConfigError(
            f"config field 'data.weights' has to hold one number for each of the {len(names)} "
            f"datasets ({', '.join(names)}), or none, got {data.weights}"
        )
    if not all(math.isfinite(weight) and weight > 0 for weight in data.weights):
        raise ConfigError(
            f"config field 'data.weights' has to hold positive numbers, got {data.weights}"
        )
    if data.identities_per_batch < len(names):
        raise ConfigError(
            f"config field 'data.identities_per_batch' has to be at least {len(names)}, one for "
            f"each dataset, got {data.identities_per_batch}"
        )


def _value(config: ExperimentConfig, name: str) -> typing.Any:
    section, field = name.split(".")
    return getattr(getattr(config, section), field)
