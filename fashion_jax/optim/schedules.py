"""Learning rates: linear warm-up, then drops at milestones or half a cosine.

In epoch e = 1, 2, ... the rate is `lr · (s · (1 − e/w) + e/w)` while e < w, the length of the
warm-up, with s its start, 0.01 in the strong baseline (arXiv:1906.08332, section 3.1). From then
on it is `lr` times

- `multistep`: `lr_decay_factor` for each milestone m ≤ e;
- `cosine`: `f + (1 − f) · (1 + cos(π t)) / 2` (arXiv:1608.03983, equation 5), t the part done of
  what comes after the warm-up, f the `end_lr_ratio`.
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
    """The rate of an epoch under `multistep`, in float64.

    Args:
        config: rate, warm-up and milestones.
        epoch: counted from 1; fractions are allowed.

    Returns:
        The learning rate.
    """
    rate = config.learning_rate
    if epoch < config.warmup_epochs:
        rate *= _warm(config, epoch / config.warmup_epochs)
    passed = sum(epoch >= milestone for milestone in config.milestones)
    return rate * config.lr_decay_factor**passed


def make_schedule(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """The learning rate of each step, as `config.schedule` says.

    Args:
        config: rate, warm-up and schedule.
        steps_per_epoch: optimizer steps in an epoch, at least 1.
        epochs: of the whole training, at whose end a cosine ends.

    Raises:
        ValueError: if there are no steps in an epoch.
    """
    if config.schedule == "cosine":
        return warmup_cosine(config, steps_per_epoch, epochs)
    return warmup_multistep(config, steps_per_epoch)


def warmup_cosine(config: OptimizerConfig, steps_per_epoch: int, epochs: int) -> optax.Schedule:
    """Warm-up, then half a cosine down to `end_lr_ratio` of the rate at the end of training.

    With granularity `step`, the rate of step s (from 0) is that of e = (s + 1) / steps_per_epoch.
    Held through an epoch, the warm-up is that of the epoch's number and the cosine that of its
    beginning, so that the last epoch still has a rate.

    Args:
        config: rate, warm-up and final share.
        steps_per_epoch: optimizer steps in an epoch, at least 1.
        epochs: of the whole training.

    Raises:
        ValueError: if there are no steps in an epoch.
    """
    _require_steps(steps_per_epoch)
    by_step = config.schedule_granularity == "step"
    falling = max((epochs - config.warmup_epochs) * steps_per_epoch, 1.0)

    def schedule(step: Step) -> Float[Array, ""]:
        dtype = _float_dtype()
        step = jnp.asarray(step)
        epoch = step // steps_per_epoch + 1
        ended = step + 1 if by_step else epoch * steps_per_epoch
        begun = step + 1 if by_step else (epoch - 1) * steps_per_epoch
        warmup_steps = config.warmup_epochs * steps_per_epoch
        warm = _warm(config, jnp.minimum(ended.astype(dtype) / max(warmup_steps, 1e-9), 1.0))
        done = jnp.clip((begun.astype(dtype) - warmup_steps) / falling, 0.0, 1.0)
        share = config.end_lr_ratio
        fallen = share + (1.0 - share) * 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        return jnp.asarray(config.learning_rate, dtype=dtype) * warm * fallen

    return schedule


def warmup_multistep(config: OptimizerConfig, steps_per_epoch: int) -> optax.Schedule:
    """The learning rate of each step, as a function that can be traced.

    Held through an epoch by default: step s (from 0) belongs to epoch 1 + s // steps_per_epoch.
    With granularity `step`, e is the part of training done when the step ends,
    (s + 1) / steps_per_epoch, which meets the held schedule at the last step of every epoch.

    Args:
        config: rate, warm-up and milestones.
        steps_per_epoch: optimizer steps in an epoch, at least 1.

    Returns:
        Step to learning rate.

    Raises:
        ValueError: if there are no steps in an epoch.
    """
    _require_steps(steps_per_epoch)
    by_step = config.schedule_granularity == "step"
    return (_continuous if by_step else _held)(config, steps_per_epoch)


def _held(config: OptimizerConfig, steps_per_epoch: int) -> optax.Schedule:
    # Nothing changes after the last of these epochs, so that its rate serves all later ones.
    last = max(1, *(math.ceil(e) for e in (config.warmup_epochs, *config.milestones)))
    rates = np.array([epoch_learning_rate(config, epoch) for epoch in range(1, last + 1)])

    def schedule(step: Step) -> Float[Array, ""]:
        epoch_index = jnp.minimum(jnp.asarray(step) // steps_per_epoch, last - 1)
        return jnp.asarray(rates, dtype=_float_dtype())[epoch_index]

    return schedule


def _continuous(config: OptimizerConfig, steps_per_epoch: int) -> optax.Schedule:
    # Whole steps at which a milestone is reached: comparing fractions in float32 would be off by
    # one step. The tiny tolerance is for products such as 0.1 · 30 that end just above a whole.
    drops = np.array([math.ceil(m * steps_per_epoch - 1e-6) for m in config.milestones], np.int32)
    warmup_steps = config.warmup_epochs * steps_per_epoch

    def schedule(step: Step) -> Float[Array, ""]:
        dtype = _float_dtype()
        ended = jnp.asarray(step) + 1
        passed = jnp.sum(ended >= jnp.asarray(drops, dtype=ended.dtype)).astype(dtype)
        done = jnp.minimum(ended.astype(dtype) / max(warmup_steps, 1.0), 1.0)
        warm = _warm(config, done)
        rate = jnp.asarray(config.learning_rate, dtype=dtype) * warm
        return rate * jnp.power(jnp.asarray(config.lr_decay_factor, dtype=dtype), passed)

    return schedule


def _warm(config: OptimizerConfig, done: Number) -> Number:
    """Share of the rate when this part of the warm-up is done."""
    return config.warmup_start_ratio * (1.0 - done) + done


def _require_steps(steps_per_epoch: int) -> None:
    if steps_per_epoch < 1:
        raise ValueError(f"an epoch needs at least 1 step; steps_per_epoch is {steps_per_epoch}")


def _float_dtype() -> jnp.dtype:
    """float64 where it is enabled, else float32."""
    return jnp.result_type(float)
