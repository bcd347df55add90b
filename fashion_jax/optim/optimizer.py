"""Optimizer of the network: Adam, AdamW or SGD, with a recipe's options."""

import math

import jax
import optax

from fashion_jax.config import OptimizerConfig
from fashion_jax.optim.parameter_groups import decay_mask, partition_labels, scale_by_layer
from fashion_jax.optim.schedules import make_schedule

MOMENTUM = 0.9


def make_optimizer(
    config: OptimizerConfig, steps_per_epoch: int, epochs: int = 0
) -> optax.GradientTransformation:
    """Make Adam (arXiv:1412.6980), AdamW (arXiv:1711.05101) or SGD with momentum.

    Weight decay of `adam` and `sgd` is coupled, `gradient + weight_decay · parameter`: it goes
    through the moments, as in the strong baseline (PyTorch's `Adam` and `SGD`). That of `adamw`
    is decoupled: it bypasses the moments, and is multiplied by the learning rate. Options that
    the config leaves out add no transformation.

    Args:
        config: section `optimizer` of an experiment's config.
        steps_per_epoch: number of optimizer steps in an epoch.
        epochs: number of epochs of the whole training; needed by the schedule `cosine`.

    Returns:
        A transformation whose step counter starts at 0. Its `init` raises `ConfigError` if
        `layer_decay` does not know the backbone's parameters.
    """
    clip = config.gradient_clip_norm
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    decay = optax.add_decayed_weights(
        config.weight_decay, mask=None if config.decay_norm_and_bias else decay_mask
    )
    adam = optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)
    moments = [decay, optax.trace(MOMENTUM) if config.name == "sgd" else adam]
    if config.name == "adamw":
        moments.reverse()
    if config.freeze_backbone_epochs:
        frozen_steps = config.freeze_backbone_epochs * steps_per_epoch
        parts.append(_frozen_at_first(moments, frozen_steps))
    else:
        parts += moments
    if config.layer_decay != 1.0:
        parts.append(scale_by_layer(config.layer_decay))
    # Outside of the part that may be frozen: the schedule's step counter must not lag.
    parts.append(optax.scale_by_learning_rate(make_schedule(config, steps_per_epoch, epochs)))
    return _standard_promotion(optax.chain(*parts))


def _frozen_at_first(
    moments: list[optax.GradientTransformation], steps: float
) -> optax.GradientTransformation:
    """Keep the backbone's parameters and their moments unchanged for the first steps."""
    inner = optax.chain(*moments)
    thawed = optax.conditionally_mask(inner, lambda step: step >= math.ceil(steps))
    return optax.partition({"backbone": thawed, "rest": inner}, partition_labels)


def _standard_promotion(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Let Optax, which raises a float to an integer step, run under strict dtype promotion."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)
