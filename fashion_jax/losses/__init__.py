"""Losses as pure functions with one order of arguments, and the objective that adds them up.

Every loss is called `loss(features, identities, *, <settings>, where=None, reduction="mean")`;
classification and proxy losses take scores in place of features, the center loss takes the
centers as its third argument.
"""

from fashion_jax.losses.batch_all_triplet import batch_all_triplet_loss
from fashion_jax.losses.batch_hard_triplet import batch_hard_triplet_loss
from fashion_jax.losses.center import center_gradient, center_loss, moved_centers
from fashion_jax.losses.centroid_triplet import centroid_triplet_loss
from fashion_jax.losses.circle import circle_loss
from fashion_jax.losses.classification_losses import (
    arcface_loss,
    cosface_loss,
    cosine_scores,
    label_smoothed_cross_entropy_loss,
    linear_scores,
)
from fashion_jax.losses.multi_similarity import multi_similarity_loss
from fashion_jax.losses.objective import Objective, ObjectiveLike
from fashion_jax.losses.pairs import Memory, empty_memory, enqueue
from fashion_jax.losses.proxy_anchor import proxy_anchor_loss
from fashion_jax.losses.proxy_nca import proxy_nca_loss
from fashion_jax.losses.quadruplet import quadruplet_loss
from fashion_jax.losses.rows import l2_normalise, paired_distances, pairwise_distances
from fashion_jax.losses.supervised_contrastive import supervised_contrastive_loss

__all__ = [
    "Memory",
    "Objective",
    "ObjectiveLike",
    "arcface_loss",
    "batch_all_triplet_loss",
    "batch_hard_triplet_loss",
    "center_gradient",
    "center_loss",
    "centroid_triplet_loss",
    "circle_loss",
    "cosface_loss",
    "cosine_scores",
    "empty_memory",
    "enqueue",
    "l2_normalise",
    "label_smoothed_cross_entropy_loss",
    "linear_scores",
    "moved_centers",
    "multi_similarity_loss",
    "paired_distances",
    "pairwise_distances",
    "proxy_anchor_loss",
    "proxy_nca_loss",
    "quadruplet_loss",
    "supervised_contrastive_loss",
]
