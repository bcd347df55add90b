"""Optimizer of the network, and learning-rate schedules."""

from fashion_jax.optim.optimizer import make_optimizer
from fashion_jax.optim.schedules import (
    epoch_learning_rate,
    make_schedule,
    warmup_cosine,
    warmup_multistep,
)

__all__ = [
    "epoch_learning_rate",
    "make_optimizer",
    "make_schedule",
    "warmup_cosine",
    "warmup_multistep",
]
