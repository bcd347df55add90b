"""Losses: pure functions, masked by `valid`, one a file; `Objective` adds them up."""

from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet
from fashion_jax.losses.center import center, center_gradient
from fashion_jax.losses.label_smoothed_cross_entropy import label_smoothed_cross_entropy
from fashion_jax.losses.objective import Objective

__all__ = [
    "Objective",
    "batch_hard_triplet",
    "center",
    "center_gradient",
    "label_smoothed_cross_entropy",
]
