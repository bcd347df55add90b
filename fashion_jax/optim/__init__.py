"""Schedules, the network's optimizer and the centers' own."""

from fashion_jax.optim.optimizer import make_optimizer, update_centers
from fashion_jax.optim.schedules import epoch_learning_rate, warmup_multistep

__all__ = ["epoch_learning_rate", "make_optimizer", "update_centers", "warmup_multistep"]
