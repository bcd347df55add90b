"""The network's optimizer: Adam, AdamW or SGD, with what a recipe may add to it."""

import math

import jax
import optax

from fashion_jax.config import OptimizerConfig
from fashion_jax.optim.parameter_groups import decays, part_of, scale_by_layer
from fashion_jax.optim.schedules import make_schedule

MOMENTUM = 0.9


def make_optimizer(
    config: OptimizerConfig, steps_per_epoch: int, epochs: int = 0
) -> optax.GradientTransformation:
    """Adam (arXiv:1412.6980), AdamW (arXiv:1711.05101) or SGD with momentum.

    Of `adam` and `sgd` the weight decay is coupled, `gradient + weight_decay · parameter`: it
    goes through the moments, as in the strong baseline (PyTorch's `Adam` and `SGD`). Of `adamw`
    it goes past them, times the learning rate. What the config leaves out is not there at all.

    Args:
        config: see its fields.
        steps_per_epoch: optimizer steps in an epoch.
        epochs: of the whole training; needed by the schedule `cosine`.

    Returns:
        The transformation; its step counter starts at 0.

    Raises:
        ParameterGroupError: when its state is made, if `layer_decay` meets an unknown backbone.
    """
    clip = config.gradient_clip_norm
    parts = [optax.clip_by_global_norm(clip)] if clip else []
    if config.freeze_backbone_epochs:
        frozen_steps = config.freeze_backbone_epochs * steps_per_epoch
        parts.append(_frozen_at_first(_moments(config), frozen_steps))
    else:
        parts += _moments(config)
    if config.layer_decay != 1.0:
        parts.append(scale_by_layer(config.layer_decay))
    # Last, outside of what may be frozen: its step counter must not lag.
    parts.append(optax.scale_by_learning_rate(make_schedule(config, steps_per_epoch, epochs)))
    return _standard_promotion(optax.chain(*parts))


def _moments(config: OptimizerConfig) -> list[optax.GradientTransformation]:
    """Moments and weight decay, in the order that the optimizer's name asks for."""
    decay = optax.add_decayed_weights(
        config.weight_decay, mask=None if config.decay_norm_and_bias else decays
    )
    adam = optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8)
    if config.name == "adamw":
        return [adam, decay]
    return [decay, adam if config.name == "adam" else optax.trace(MOMENTUM)]


def _frozen_at_first(
    moments: list[optax.GradientTransformation], steps: float
) -> optax.GradientTransformation:
    """Neither the backbone's parameters nor their moments change in the first steps."""
    inner = optax.chain(*moments)
    thawed = optax.conditionally_mask(inner, lambda step: step >= math.ceil(steps))
    return optax.partition({"backbone": thawed, "rest": inner}, part_of)


def _standard_promotion(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Lets Optax, which raises a float to an integer step, run under strict promotion."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)
