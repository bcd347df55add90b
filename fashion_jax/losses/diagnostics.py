"""Distances, active triplets and norms to watch along with the losses; without a gradient."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import LossConfig
from fashion_jax.losses.batch_hard_triplet import HardPairs, hardest_pairs
from fashion_jax.losses.distances import pairwise_distances
from fashion_jax.losses.masking import masked_mean, zero_padding
from fashion_jax.losses.objective_like import Scalars
from fashion_jax.losses.pairs import make_pairs


def diagnostics(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    loss: LossConfig,
    *,
    where: Bool[Array, " batch"],
    **options: Any,
) -> Scalars:
    """Scalars of a batch; see `Objective.__call__` for their names, `make_pairs` for options."""
    features = jax.lax.stop_gradient(features)
    pairs = make_pairs(features, identities, where=where, **options)
    distances = pairwise_distances(pairs.anchors, pairs.candidates, loss.distance)
    anchors = pairs.where[:, None]
    norms = jnp.linalg.norm(zero_padding(features, where), axis=1)
    found = {
        "features/norm": masked_mean(norms, where),
        "pairs/positive_distance": masked_mean(distances, pairs.positives & anchors),
        "pairs/negative_distance": masked_mean(distances, pairs.negatives & anchors),
    }
    if loss.triplet_weight:
        found |= _hardest(hardest_pairs(pairs, loss.distance), loss.triplet_margin)
    elif loss.quadruplet_weight:
        found |= _hardest(hardest_pairs(pairs, loss.distance), loss.quadruplet_margin)
    return found


def _hardest(pairs: HardPairs, margin: float | None) -> Scalars:
    gap = pairs.positive_distance - pairs.negative_distance + (margin or 0.0)
    return {
        "triplet/positive_distance": masked_mean(pairs.positive_distance, pairs.anchor),
        "triplet/negative_distance": masked_mean(pairs.negative_distance, pairs.anchor),
        "triplet/active_fraction": masked_mean((gap > 0.0).astype(gap.dtype), pairs.anchor),
    }
