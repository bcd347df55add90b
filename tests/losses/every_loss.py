"""All losses behind one call, for tests of what they have in common."""

import jax.numpy as jnp
import numpy as np

from fashion_jax.losses import (
    arcface,
    batch_all_triplet,
    batch_hard_triplet,
    center,
    centroid_triplet,
    circle,
    cosface,
    cosine_scores,
    label_smoothed_cross_entropy,
    linear_scores,
    multi_similarity,
    proxy_anchor,
    proxy_nca,
    quadruplet,
    supervised_contrastive,
)
from tests.losses import reference

CLASSES = 6  # columns of the classifier


def _doubled(kernel, arrays=jnp):
    """Two sub-centers of each class."""
    return arrays.concatenate([kernel, -kernel[:, ::-1]], 1)


def _center(x, y, kernel):
    differences = x - kernel.T[y]
    return reference.mean([float(row @ row) for row in differences])


# name: (loss of (features, identities, valid, kernel), reference of (features, identities, kernel))
LOSSES = {
    "triplet": (
        lambda x, y, v, k: batch_hard_triplet(x, y, 0.3, v),
        lambda x, y, k: reference.batch_hard(x, y, 0.3),
    ),
    "triplet_soft": (
        lambda x, y, v, k: batch_hard_triplet(x, y, None, v),
        lambda x, y, k: reference.batch_hard(x, y, None),
    ),
    "triplet_cosine": (
        lambda x, y, v, k: batch_hard_triplet(x, y, 0.3, v, "cosine"),
        lambda x, y, k: reference.batch_hard(x, y, 0.3, "cosine"),
    ),
    "batch_all": (
        lambda x, y, v, k: batch_all_triplet(x, y, 0.3, v),
        lambda x, y, k: reference.batch_all(x, y, 0.3),
    ),
    "batch_all_soft_cosine": (
        lambda x, y, v, k: batch_all_triplet(x, y, None, v, "cosine"),
        lambda x, y, k: reference.batch_all(x, y, None, "cosine"),
    ),
    "quadruplet": (
        lambda x, y, v, k: quadruplet(x, y, 0.9, 0.7, v),
        lambda x, y, k: reference.quadruplet(x, y, 0.9, 0.7),
    ),
    "quadruplet_cosine": (
        lambda x, y, v, k: quadruplet(x, y, 0.9, 0.7, v, "cosine"),
        lambda x, y, k: reference.quadruplet(x, y, 0.9, 0.7, "cosine"),
    ),
    "centroid_triplet": (
        lambda x, y, v, k: centroid_triplet(x, y, 0.5, v),
        lambda x, y, k: reference.centroid_triplet(x, y, 0.5),
    ),
    "centroid_triplet_soft_cosine": (
        lambda x, y, v, k: centroid_triplet(x, y, None, v, "cosine"),
        lambda x, y, k: reference.centroid_triplet(x, y, None, "cosine"),
    ),
    "multi_similarity": (
        lambda x, y, v, k: multi_similarity(x, y, valid=v),
        lambda x, y, k: reference.multi_similarity(x, y),
    ),
    "supervised_contrastive": (
        lambda x, y, v, k: supervised_contrastive(x, y, 0.2, v),
        lambda x, y, k: reference.supervised_contrastive(x, y, 0.2),
    ),
    "circle": (
        lambda x, y, v, k: circle(x, y, 0.25, 16.0, v),
        lambda x, y, k: reference.circle(x, y, 0.25, 16.0),
    ),
    "center": (
        lambda x, y, v, k: center(x, y, k.T, v),
        _center,
    ),
    "label_smoothing": (
        lambda x, y, v, k: label_smoothed_cross_entropy(linear_scores(x, k, None, v), y, 0.1, v),
        lambda x, y, k: reference.smoothed_cross_entropy(x @ k, y, 0.1),
    ),
    "arcface": (
        lambda x, y, v, k: arcface(cosine_scores(x, k, 1, v), y, 0.5, 16.0, v),
        lambda x, y, k: reference.arcface(reference.class_cosines(x, k), y, 0.5, 16.0),
    ),
    "cosface": (
        lambda x, y, v, k: cosface(cosine_scores(x, k, 1, v), y, 0.35, 16.0, v),
        lambda x, y, k: reference.cosface(reference.class_cosines(x, k), y, 0.35, 16.0),
    ),
    "proxy_nca": (
        lambda x, y, v, k: proxy_nca(cosine_scores(x, k, 1, v), y, 8.0, v),
        lambda x, y, k: reference.proxy_nca(reference.class_cosines(x, k), y, 8.0),
    ),
    "proxy_anchor": (
        lambda x, y, v, k: proxy_anchor(cosine_scores(x, k, 1, v), y, valid=v),
        lambda x, y, k: reference.proxy_anchor(reference.class_cosines(x, k), y),
    ),
    "sub_center_arcface": (
        lambda x, y, v, k: arcface(cosine_scores(x, _doubled(k), 2, v), y, 0.5, 16.0, v),
        lambda x, y, k: reference.arcface(
            reference.class_cosines(x, _doubled(k, np), 2), y, 0.5, 16.0
        ),
    ),
}
