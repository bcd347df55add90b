"""Schedules and the network's optimizer."""

from fashion_jax.optim.optimizer import make_optimizer
from fashion_jax.optim.parameter_groups import ParameterGroupError
from fashion_jax.optim.schedules import (
    epoch_learning_rate,
    make_schedule,
    warmup_cosine,
    warmup_multistep,
)

__all__ = [
    "ParameterGroupError",
    "epoch_learning_rate",
    "make_optimizer",
    "make_schedule",
    "warmup_cosine",
    "warmup_multistep",
]
