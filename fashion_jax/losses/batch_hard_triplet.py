"""Batch-hard triplet loss (Hermans, Beyer, Leibe 2017, arXiv:1703.07737, equation 5)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import COSINE, normalise, paired_distances, squared_distances
from fashion_jax.losses.masking import weighted_mean
from fashion_jax.losses.pairs import Context, Pairs, make_pairs


class HardPairs(NamedTuple):
    """Each row as an anchor, with its hardest positive and negative.

    Attributes:
        positive_distance: to the farthest positive.
        negative_distance: to the nearest negative; meaningless where not `anchor`.
        anchor: rows that are valid and have a positive and a negative.
        weight: of the pair of anchor and positive.
    """

    positive_distance: Float[Array, " batch"]
    negative_distance: Float[Array, " batch"]
    anchor: Bool[Array, " batch"]
    weight: Float[Array, " batch"]


def batch_hard_triplet(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    margin: float | None = 0.3,
    valid: Bool[Array, " batch"] | None = None,
    distance: str = "euclidean",
    context: Context | None = None,
) -> Float[Array, ""]:
    """Mean over anchors of max(0, d(a, p) − d(a, n) + margin), or softplus(d(a, p) − d(a, n)).

    p is the anchor's farthest positive in the batch (the anchor itself counts as one, unless
    positives have to be of the other domain), n its nearest negative. Anchors whose term is 0
    stay in the mean. The loss is 0 where no anchor has a negative.

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
        distance: `euclidean`, sqrt(max(d², 1e-12)), or `cosine`.
        context: domains, memory and which pairs count; an anchor counts as much as the pair
            that it makes with its positive.

    Returns:
        The loss, at least in float32.
    """
    pairs = make_pairs(features, identities, valid, context)
    return triplet_of_pairs(hardest_pairs(pairs, distance), margin)


def hardest_pairs(pairs: Pairs, distance: str = "euclidean") -> HardPairs:
    """Mines each anchor's farthest positive and nearest negative.

    Pairs are chosen from all distances without a gradient; the distances returned are computed
    anew from the chosen rows, exactly, and carry the gradient.
    """
    distances = mining_distances(pairs.anchors, pairs.candidates, distance)
    positives = pairs.positives | pairs.itself
    farthest = jnp.argmax(jnp.where(positives, distances, -jnp.inf), axis=1)
    nearest = jnp.argmin(jnp.where(pairs.negatives, distances, jnp.inf), axis=1)
    rows, candidates = pairs.anchors, pairs.candidates
    return HardPairs(
        positive_distance=paired_distances(rows, candidates[farthest], distance),
        negative_distance=paired_distances(rows, candidates[nearest], distance),
        anchor=pairs.valid & jnp.any(positives, axis=1) & jnp.any(pairs.negatives, axis=1),
        weight=jnp.take_along_axis(pairs.weights, farthest[:, None], axis=1)[:, 0],
    )


def triplet_of_pairs(pairs: HardPairs, margin: float | None) -> Float[Array, ""]:
    """The loss of mined pairs; see `batch_hard_triplet`."""
    gap = pairs.positive_distance - pairs.negative_distance
    return weighted_mean(hinge(gap, margin), pairs.anchor, pairs.weight)


def hinge(gap: Float[Array, "*shape"], margin: float | None) -> Float[Array, "*shape"]:
    """max(0, gap + margin), or softplus(gap) without a margin."""
    return jax.nn.softplus(gap) if margin is None else jax.nn.relu(gap + margin)


def mining_distances(
    rows: Float[Array, "rows features"],
    others: Float[Array, "others features"],
    distance: str = "euclidean",
) -> Float[Array, "rows others"]:
    """What grows with the distance, for choosing pairs; taken about the mean, without gradient.

    The matrix product loses small distances between features far from the origin, so late in
    training, or in a collapse, the wrong pairs would be chosen without the shift.
    """
    rows, others = jax.lax.stop_gradient((rows, others))
    if distance == COSINE:
        rows, others = normalise(rows), normalise(others)
    mean = jnp.mean(others, axis=0)[None, :]
    return squared_distances(rows - mean, others - mean)
