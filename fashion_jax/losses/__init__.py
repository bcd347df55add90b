"""Losses: pure functions, masked by `valid`, one a file; `Objective` adds them up."""

from fashion_jax.losses.batch_all_triplet import batch_all_triplet
from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet
from fashion_jax.losses.center import center, center_gradient
from fashion_jax.losses.centroid_triplet import centroid_triplet
from fashion_jax.losses.circle import circle
from fashion_jax.losses.classes import cosine_scores, linear_scores
from fashion_jax.losses.label_smoothed_cross_entropy import label_smoothed_cross_entropy
from fashion_jax.losses.margin_softmax import arcface, cosface
from fashion_jax.losses.memory import empty_memory, remember
from fashion_jax.losses.multi_similarity import multi_similarity
from fashion_jax.losses.objective import Labels, Objective, Outputs
from fashion_jax.losses.pairs import Context, Memory
from fashion_jax.losses.proxy_anchor import proxy_anchor
from fashion_jax.losses.proxy_nca import proxy_nca
from fashion_jax.losses.quadruplet import quadruplet
from fashion_jax.losses.supervised_contrastive import supervised_contrastive

__all__ = [
    "Context",
    "Labels",
    "Memory",
    "Objective",
    "Outputs",
    "arcface",
    "batch_all_triplet",
    "batch_hard_triplet",
    "center",
    "center_gradient",
    "centroid_triplet",
    "circle",
    "cosface",
    "cosine_scores",
    "empty_memory",
    "label_smoothed_cross_entropy",
    "linear_scores",
    "multi_similarity",
    "proxy_anchor",
    "proxy_nca",
    "quadruplet",
    "remember",
    "supervised_contrastive",
]
