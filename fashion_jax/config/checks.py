"""What values the fields may have, alone and together."""

import math
import re
import typing
from collections.abc import Callable, Iterable

from fashion_jax.config.data_fields import DataConfig, ImageConfig
from fashion_jax.config.errors import ConfigError, nearest
from fashion_jax.config.experiment import ExperimentConfig

_AT_LEAST_ONE = (
    "classifier.columns_multiple",
    "classifier.sub_centers",
    "data.identities_per_batch",
    "data.photos_per_identity",
    "data.threads",
    "image.height",
    "image.width",
    "training.epochs",
    "training.evaluate_every_epochs",
    "training.log_every_steps",
    "training.slices",
    "evaluation.batch_size",
)
_NOT_NEGATIVE = (
    "augment.pad",
    "augment.flip_probability",
    "augment.erase_probability",
    "data.workers",
    "model.batch_norm_group",
    "model.dropout",
    "model.embedding_width",
    "mining.cross_domain_weight",
    "mining.memory_batches",
    "mining.memory_start",
    "optimizer.learning_rate",
    "optimizer.weight_decay",
    "optimizer.warmup_epochs",
    "optimizer.warmup_start",
    "optimizer.final_share",
    "optimizer.frozen_epochs",
    "optimizer.gradient_clip",
    "training.average_decay",
    "training.seed",
    "training.checkpoint_every_steps",
)
_ABOVE_ZERO = (
    "classifier.sampled_share",
    "loss.circle_scale",
    "loss.cosine_scale",
    "loss.supervised_contrastive_temperature",
    "model.gem_power",
    "optimizer.layer_decay",
)
_AT_MOST_ONE = (
    "classifier.sampled_share",
    "optimizer.final_share",
    "optimizer.layer_decay",
    "optimizer.warmup_start",
)
_BELOW_ONE = ("model.dropout", "training.average_decay")
_CHOICES: dict[str, tuple[typing.Any, ...]] = {
    "loss.distance": ("euclidean", "cosine"),
    "mining.anchors": ("any", "street"),
    "mining.positives": ("any", "other_domain"),
    "mining.negatives": ("any", "other_domain"),
    "model.last_stride": (1, 2),
    "model.pooling": ("average", "max", "average_max", "gem", "learned_gem", "token"),
    "model.stem_pool": ("padded", "ceil"),
    "model.neck": ("bnneck", "none", "linear", "linear_bnneck", "linear_bn_relu"),
    "model.compute_dtype": ("float32", "bfloat16", "float64"),
    "optimizer.name": ("adam", "adamw", "sgd"),
    "optimizer.schedule": ("steps", "cosine"),
}
_SIZE = re.compile(r"[1-9][0-9]*x[1-9][0-9]*")


def check_ranges(config: ExperimentConfig) -> None:
    """Raises ConfigError for the first value that makes no sense."""
    weights = [f"loss.{name}" for name in vars(config.loss) if name.endswith("_weight")]
    _require(config, _AT_LEAST_ONE, lambda value: value >= 1, "has to be at least 1")
    _require(config, (*_NOT_NEGATIVE, *weights), lambda value: value >= 0, "cannot be negative")
    _require(config, _ABOVE_ZERO, lambda value: value > 0, "has to be above 0")
    _require(config, _AT_MOST_ONE, lambda value: value <= 1, "has to be at most 1")
    _require(config, _BELOW_ONE, lambda value: value < 1, "has to be below 1")
    for name, allowed in _CHOICES.items():
        if _value(config, name) not in allowed:
            hint = nearest(str(_value(config, name)), [str(choice) for choice in allowed])
            raise ConfigError(f"config field {name!r} cannot be {_value(config, name)!r}{hint}")
    _check_datasets(config.data)
    _check_pixels(config.image)
    _check_batch(config)
    _check_classes(config)


def _require(
    config: ExperimentConfig,
    names: Iterable[str],
    holds: Callable[[float], bool],
    rule: str,
) -> None:
    for name in names:
        value = _value(config, name)
        if not holds(value):
            raise ConfigError(f"config field {name!r} {rule}, got {value}")


def _check_pixels(image: ImageConfig) -> None:
    for name, values in (("pixel_mean", image.pixel_mean), ("pixel_std", image.pixel_std)):
        if len(values) not in (0, 3):
            raise ConfigError(
                f"config field 'image.{name}' has to hold three numbers, for red, green and blue, "
                f"or none, got {values}"
            )
    for size in image.more_sizes:
        if not _SIZE.fullmatch(size):
            raise ConfigError(
                "config field 'image.more_sizes' has to hold texts such as '160x96', height x "
                f"width in pixels, got {size!r}"
            )
    if not all(value > 0 for value in image.pixel_std):
        raise ConfigError(
            f"config field 'image.pixel_std' has to hold positive numbers, got {image.pixel_std}"
        )


def _check_batch(config: ExperimentConfig) -> None:
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    group, slices = config.model.batch_norm_group, config.training.slices
    what = f"the batch of {batch} photos (data.identities_per_batch times data.photos_per_identity)"
    if group and batch % group:
        raise ConfigError(
            f"config field 'model.batch_norm_group' has to divide {what}, got {group}"
        )
    if batch % slices:
        raise ConfigError(f"config field 'training.slices' has to divide {what}, got {slices}")
    if group and (batch // slices) % group:
        raise ConfigError(
            f"config field 'model.batch_norm_group' has to divide a slice of {batch // slices} "
            f"photos (training.slices is {slices}), got {group}"
        )


def _check_classes(config: ExperimentConfig) -> None:
    loss, classifier = config.loss, config.classifier
    if not loss.quadruplet_second_margin < loss.quadruplet_margin:
        raise ConfigError(
            "config field 'loss.quadruplet_second_margin' has to be below "
            f"'loss.quadruplet_margin' ({loss.quadruplet_margin}), got "
            f"{loss.quadruplet_second_margin}"
        )
    if loss.identity_weight and classifier.sub_centers > 1:
        raise ConfigError(
            "config field 'classifier.sub_centers' above 1 goes with losses on cosines only "
            "(loss.arcface_weight and others): set loss.identity_weight to 0"
        )
    if loss.batch_all_weight and config.mining.memory_batches:
        raise ConfigError(
            "config field 'mining.memory_batches' does not go with 'loss.batch_all_weight': all "
            "triplets with a memory are too many"
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
