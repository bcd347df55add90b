"""Learning-rate schedules: linear warm-up, then drops at milestones or half a cosine.

In epoch e = 1, 2, ... the rate is `lr · (s · (1 − e/w) + e/w)` while e < w, the length of the
warm-up, with s the `warmup_start_ratio`, 0.01 in the strong baseline (arXiv:1906.08332,
section 3.1). From then on it is `lr` times

- `multistep`: `lr_decay_factor` for each milestone m ≤ e;
- `cosine`: `f + (1 − f) · (1 + cos(π t)) / 2` (arXiv:1608.03983, equation 5), with t the finished
  part of the training after the warm-up, and f the `end_lr_ratio`.
"""

import math
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from fashion_jax.config import OptimizerConfig

Step = int | Int[Array, ""]
Number = TypeVar("Number", float, Array)


def epoch_learning_rate(config: OptimizerConfig, epoch: int | float) -> float:
    """Return the learning rate of an epoch under `multistep`, in float64.

    Args:
        config: rate, warm-up and milestones.
        epoch: number of the epoch, from 1; may be a fraction.
    """
    rate = config.learning_rate
    if epoch < config.warmup_epochs:
        rate *= _warmup_factor(config, epoch / config.warmup_epochs)
    passed = sum(epoch >= milestone for milestone in config.milestones)
    return rate * config.lr_decay_factor**passed


def make_schedule(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """Make the schedule that `config.schedule` names.

    Args:
        config: rate, warm-up and schedule.
        steps_per_epoch: number of optimizer steps in an epoch, at least 1.
        epochs: number of epochs of the whole training, after which a cosine ends.

    Returns:
        Traceable function from a step (from 0) to its learning rate.

    Raises:
        ValueError: for an epoch without steps.
    """
    if config.schedule == "cosine":
        return warmup_cosine(config, steps_per_epoch, epochs)
    return warmup_multistep(config, steps_per_epoch)


def warmup_cosine(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """Make a warm-up, then half a cosine down to `end_lr_ratio` of the rate.

    With granularity `step`, the rate of step s (from 0) is that of e = (s + 1) / steps_per_epoch.
    Held through an epoch, the warm-up is that of the epoch's number and the cosine that of its
    beginning, so that the last epoch is trained above the end rate.

    Args:
        config: rate, warm-up and `end_lr_ratio`.
        steps_per_epoch: number of optimizer steps in an epoch, at least 1.
        epochs: number of epochs of the whole training.

    Returns:
        See `make_schedule`.

    Raises:
        ValueError: for an epoch without steps.
    """
    _require_steps(steps_per_epoch)
    by_step = config.schedule_granularity == "step"
    falling = max((epochs - config.warmup_epochs) * steps_per_epoch, 1.0)

    def schedule(step: Step) -> Float[Array, ""]:
        dtype = jnp.result_type(float)
        step = jnp.asarray(step)
        epoch = step // steps_per_epoch + 1
        ended = step + 1 if by_step else epoch * steps_per_epoch
        begun = step + 1 if by_step else (epoch - 1) * steps_per_epoch
        warmup_steps = config.warmup_epochs * steps_per_epoch
        warm = _warmup_factor(
            config, jnp.minimum(ended.astype(dtype) / max(warmup_steps, 1e-9), 1.0)
        )
        done = jnp.clip((begun.astype(dtype) - warmup_steps) / falling, 0.0, 1.0)
        end = config.end_lr_ratio
        fallen = end + (1.0 - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        return jnp.asarray(config.learning_rate, dtype=dtype) * warm * fallen

    return schedule


def warmup_multistep(config: OptimizerConfig, steps_per_epoch: int) -> optax.Schedule:
    """Make a warm-up, then drops of the rate at milestones.

    Held through an epoch by default: step s (from 0) belongs to epoch 1 + s // steps_per_epoch.
    With granularity `step`, e is the number of epochs done when the step ends,
    (s + 1) / steps_per_epoch, which meets the held schedule at the last step of every epoch.

    Args:
        config: rate, warm-up and milestones.
        steps_per_epoch: number of optimizer steps in an epoch, at least 1.

    Returns:
        See `make_schedule`.

    Raises:
        ValueError: for an epoch without steps.
    """
    _require_steps(steps_per_epoch)
    if config.schedule_granularity == "step":
        return _multistep_by_step(config, steps_per_epoch)
    # The rate is constant from the last of these epochs on.
    last = max(1, *(math.ceil(e) for e in (config.warmup_epochs, *config.milestones)))
    rates = np.array([epoch_learning_rate(config, epoch) for epoch in range(1, last + 1)])

    def schedule(step: Step) -> Float[Array, ""]:
        epoch_index = jnp.minimum(jnp.asarray(step) // steps_per_epoch, last - 1)
        return jnp.asarray(rates, dtype=jnp.result_type(float))[epoch_index]

    return schedule


def _multistep_by_step(config: OptimizerConfig, steps_per_epoch: int) -> optax.Schedule:
    # Milestones in whole steps: comparing fractions in float32 would be off by one step. The tiny
    # tolerance is for products such as 0.1 · 30, which come out just above a whole number.
    drops = np.array([math.ceil(m * steps_per_epoch - 1e-6) for m in config.milestones], np.int32)
    warmup_steps = config.warmup_epochs * steps_per_epoch

    def schedule(step: Step) -> Float[Array, ""]:
        dtype = jnp.result_type(float)
        ended = jnp.asarray(step) + 1
        passed = jnp.sum(ended >= jnp.asarray(drops, dtype=ended.dtype)).astype(dtype)
        done = jnp.minimum(ended.astype(dtype) / max(warmup_steps, 1.0), 1.0)
        warm = _warmup_factor(config, done)
        rate = jnp.asarray(config.learning_rate, dtype=dtype) * warm
        return rate * jnp.power(jnp.asarray(config.lr_decay_factor, dtype=dtype), passed)

    return schedule


def _warmup_factor(config: OptimizerConfig, done: Number) -> Number:
    """Return the factor of the rate after a part of the warm-up, 0 to 1."""
    return config.warmup_start_ratio * (1.0 - done) + done


def _require_steps(steps_per_epoch: int) -> None:
    if steps_per_epoch < 1:
        raise ValueError(f"an epoch needs at least 1 step; steps_per_epoch is {steps_per_epoch}")
