"""What to watch beside the losses: distances, active triplets, norms. Nothing has a gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fashion_jax.config import LossConfig
from fashion_jax.losses.batch_hard_triplet import HardPairs, hardest_pairs
from fashion_jax.losses.distances import pairwise_distances
from fashion_jax.losses.masking import masked_mean, zero_padding
from fashion_jax.losses.pair_terms import Photos
from fashion_jax.losses.pairs import Pairs, make_pairs

Scalars = dict[str, Float[Array, ""]]


def diagnostics(photos: Photos, loss: LossConfig) -> Scalars:
    """Scalars of a batch; see `Objective.__call__` for their names."""
    features = jax.lax.stop_gradient(photos.features)
    pairs = make_pairs(features, photos.identities, photos.valid, photos.context)
    found = {"features/norm": _mean_norm(features, photos.valid)} | _all_pairs(pairs, loss.distance)
    if loss.triplet_weight:
        found |= _hardest(hardest_pairs(pairs, loss.distance), loss.triplet_margin)
    elif loss.quadruplet_weight:
        found |= _hardest(hardest_pairs(pairs, loss.distance), loss.quadruplet_margin)
    return found


def _all_pairs(pairs: Pairs, distance: str) -> Scalars:
    distances = pairwise_distances(pairs.anchors, pairs.candidates, distance)
    anchors = pairs.valid[:, None]
    return {
        "pairs/positive_distance": masked_mean(distances, pairs.positives & anchors),
        "pairs/negative_distance": masked_mean(distances, pairs.negatives & anchors),
    }


def _hardest(pairs: HardPairs, margin: float | None) -> Scalars:
    gap = pairs.positive_distance - pairs.negative_distance + (margin or 0.0)
    return {
        "triplet/positive_distance": masked_mean(pairs.positive_distance, pairs.anchor),
        "triplet/negative_distance": masked_mean(pairs.negative_distance, pairs.anchor),
        "triplet/active_fraction": masked_mean((gap > 0.0).astype(gap.dtype), pairs.anchor),
    }


def _mean_norm(
    features: Float[Array, "batch features"], valid: Bool[Array, " batch"]
) -> Float[Array, ""]:
    return masked_mean(jnp.linalg.norm(zero_padding(features, valid), axis=1), valid)
