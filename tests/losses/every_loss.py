"""All losses behind one call, for tests of what they have in common."""

import jax.numpy as jnp
import numpy as np

from fashion_jax.losses import (
    arcface_loss,
    batch_all_triplet_loss,
    batch_hard_triplet_loss,
    center_loss,
    centroid_triplet_loss,
    circle_loss,
    cosface_loss,
    cosine_scores,
    label_smoothed_cross_entropy_loss,
    linear_scores,
    multi_similarity_loss,
    proxy_anchor_loss,
    proxy_nca_loss,
    quadruplet_loss,
    supervised_contrastive_loss,
)
from tests.losses import reference

CLASSES = 6  # columns of the classifier


def _doubled(kernel, arrays=jnp):
    """Two sub-centers of each class."""
    return arrays.concatenate([kernel, -kernel[:, ::-1]], 1)


def _center(x, y, kernel):
    differences = x - kernel.T[y]
    return reference.mean([float(row @ row) for row in differences])


# name: (loss of (features, identities, where, kernel), reference of (features, identities, kernel))
LOSSES = {
    "triplet": (
        lambda x, y, w, k, **r: batch_hard_triplet_loss(x, y, margin=0.3, where=w, **r),
        lambda x, y, k: reference.batch_hard(x, y, 0.3),
    ),
    "triplet_soft": (
        lambda x, y, w, k, **r: batch_hard_triplet_loss(x, y, margin=None, where=w, **r),
        lambda x, y, k: reference.batch_hard(x, y, None),
    ),
    "triplet_cosine": (
        lambda x, y, w, k, **r: batch_hard_triplet_loss(
            x, y, margin=0.3, distance="cosine", where=w, **r
        ),
        lambda x, y, k: reference.batch_hard(x, y, 0.3, "cosine"),
    ),
    "batch_all": (
        lambda x, y, w, k, **r: batch_all_triplet_loss(x, y, margin=0.3, where=w, **r),
        lambda x, y, k: reference.batch_all(x, y, 0.3),
    ),
    "batch_all_soft_cosine": (
        lambda x, y, w, k, **r: batch_all_triplet_loss(
            x, y, margin=None, distance="cosine", where=w, **r
        ),
        lambda x, y, k: reference.batch_all(x, y, None, "cosine"),
    ),
    "quadruplet": (
        lambda x, y, w, k, **r: quadruplet_loss(x, y, margin=0.9, second_margin=0.7, where=w, **r),
        lambda x, y, k: reference.quadruplet(x, y, 0.9, 0.7),
    ),
    "quadruplet_cosine": (
        lambda x, y, w, k, **r: quadruplet_loss(
            x, y, margin=0.9, second_margin=0.7, distance="cosine", where=w, **r
        ),
        lambda x, y, k: reference.quadruplet(x, y, 0.9, 0.7, "cosine"),
    ),
    "centroid_triplet": (
        lambda x, y, w, k, **r: centroid_triplet_loss(x, y, margin=0.5, where=w, **r),
        lambda x, y, k: reference.centroid_triplet(x, y, 0.5),
    ),
    "centroid_triplet_soft_cosine": (
        lambda x, y, w, k, **r: centroid_triplet_loss(
            x, y, margin=None, distance="cosine", where=w, **r
        ),
        lambda x, y, k: reference.centroid_triplet(x, y, None, "cosine"),
    ),
    "multi_similarity": (
        lambda x, y, w, k, **r: multi_similarity_loss(x, y, where=w, **r),
        lambda x, y, k: reference.multi_similarity(x, y),
    ),
    "supervised_contrastive": (
        lambda x, y, w, k, **r: supervised_contrastive_loss(x, y, temperature=0.2, where=w, **r),
        lambda x, y, k: reference.supervised_contrastive(x, y, 0.2),
    ),
    "circle": (
        lambda x, y, w, k, **r: circle_loss(x, y, margin=0.25, scale=16.0, where=w, **r),
        lambda x, y, k: reference.circle(x, y, 0.25, 16.0),
    ),
    "center": (
        lambda x, y, w, k, **r: center_loss(x, y, k.T, where=w, **r),
        _center,
    ),
    "label_smoothing": (
        lambda x, y, w, k, **r: label_smoothed_cross_entropy_loss(
            linear_scores(x, k, where=w), y, smoothing=0.1, where=w, **r
        ),
        lambda x, y, k: reference.smoothed_cross_entropy(x @ k, y, 0.1),
    ),
    "arcface": (
        lambda x, y, w, k, **r: arcface_loss(
            cosine_scores(x, k, where=w), y, margin=0.5, scale=16.0, where=w, **r
        ),
        lambda x, y, k: reference.arcface(reference.class_cosines(x, k), y, 0.5, 16.0),
    ),
    "cosface": (
        lambda x, y, w, k, **r: cosface_loss(
            cosine_scores(x, k, where=w), y, margin=0.35, scale=16.0, where=w, **r
        ),
        lambda x, y, k: reference.cosface(reference.class_cosines(x, k), y, 0.35, 16.0),
    ),
    "proxy_nca": (
        lambda x, y, w, k, **r: proxy_nca_loss(
            cosine_scores(x, k, where=w), y, scale=8.0, where=w, **r
        ),
        lambda x, y, k: reference.proxy_nca(reference.class_cosines(x, k), y, 8.0),
    ),
    "proxy_anchor": (
        lambda x, y, w, k, **r: proxy_anchor_loss(cosine_scores(x, k, where=w), y, where=w, **r),
        lambda x, y, k: reference.proxy_anchor(reference.class_cosines(x, k), y),
    ),
    "sub_center_arcface": (
        lambda x, y, w, k, **r: arcface_loss(
            cosine_scores(x, _doubled(k), sub_centers=2, where=w),
            y,
            margin=0.5,
            scale=16.0,
            where=w,
            **r,
        ),
        lambda x, y, k: reference.arcface(
            reference.class_cosines(x, _doubled(k, np), 2), y, 0.5, 16.0
        ),
    ),
}
