"""Batch-hard triplet loss (Hermans, Beyer, Leibe 2017, arXiv:1703.07737, equation 5)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import paired_distances, squared_distances
from fashion_jax.losses.masking import all_valid, masked_mean, zero_padding


class HardPairs(NamedTuple):
    """Each row as an anchor, with its hardest positive and negative.

    Attributes:
        positive_distance: to the farthest row of the same identity (the anchor itself counts).
        negative_distance: to the nearest row of another identity; meaningless where not `anchor`.
        anchor: rows that are valid and have a negative.
    """

    positive_distance: Float[Array, " batch"]
    negative_distance: Float[Array, " batch"]
    anchor: Bool[Array, " batch"]


def batch_hard_triplet(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    margin: float | None = 0.3,
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """Mean over anchors of max(0, d(a, p) − d(a, n) + margin), or softplus(d(a, p) − d(a, n)).

    p is the anchor's farthest positive in the batch (the anchor itself counts as one), n its
    nearest negative, d the Euclidean distance sqrt(max(d², 1e-12)). Anchors whose term is 0 stay
    in the mean. The loss is 0 where no anchor has a negative.

    Example:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[0.0], [3.0], [5.0], [6.0]])
        >>> float(batch_hard_triplet(features, jnp.array([0, 0, 1, 1]), margin=1.0))
        0.5

    Args:
        features: before the neck, not normalised.
        identities: of each row.
        margin: `None` for the soft margin.
        valid: rows that are not padding; all of them if `None`.

    Returns:
        The loss, at least in float32.
    """
    pairs = hardest_pairs(features, identities, valid)
    return triplet_of_pairs(pairs, margin)


def hardest_pairs(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    valid: Bool[Array, " batch"] | None = None,
) -> HardPairs:
    """Mines each row's farthest positive and nearest negative.

    Pairs are chosen from all B×B distances without a gradient; the distances returned are
    computed anew from the chosen rows, exactly, and carry the gradient.

    Args:
        features: rows to compare.
        identities: of each row.
        valid: rows that are not padding; all of them if `None`.

    Returns:
        The chosen pairs' distances.
    """
    valid = all_valid(identities) if valid is None else valid
    features = zero_padding(features, valid)
    distances = _mining_distances(features, valid)
    same = identities[:, None] == identities[None, :]
    positives = same & valid[None, :]
    negatives = ~same & valid[None, :]
    farthest = jnp.argmax(jnp.where(positives, distances, -jnp.inf), axis=1)
    nearest = jnp.argmin(jnp.where(negatives, distances, jnp.inf), axis=1)
    return HardPairs(
        positive_distance=paired_distances(features, features[farthest]),
        negative_distance=paired_distances(features, features[nearest]),
        anchor=valid & jnp.any(negatives, axis=1),
    )


def triplet_of_pairs(pairs: HardPairs, margin: float | None) -> Float[Array, ""]:
    """The loss of mined pairs; see `batch_hard_triplet`."""
    gap = pairs.positive_distance - pairs.negative_distance
    terms = jax.nn.softplus(gap) if margin is None else jax.nn.relu(gap + margin)
    return masked_mean(terms, pairs.anchor)


def _mining_distances(
    features: Float[Array, "batch features"], valid: Bool[Array, " batch"]
) -> Float[Array, "batch batch"]:
    """Squared distances for choosing pairs, taken about the mean.

    The matrix product loses small distances between features far from the origin, so late in
    training, or in a collapse, the wrong pairs would be chosen without the shift.
    """
    features = jax.lax.stop_gradient(features)
    count = jnp.maximum(jnp.sum(valid).astype(features.dtype), 1.0)
    mean = jnp.sum(features, axis=0) / count
    centered = features - mean[None, :]
    return squared_distances(centered, centered)
