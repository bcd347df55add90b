"""Batch-hard triplet loss (Hermans, Beyer, Leibe 2017, arXiv:1703.07737, equation 5)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, Pairs, make_pairs
from fashion_jax.losses.rows import (
    is_cosine,
    l2_normalise,
    paired_distances,
    reduce_rows,
    squared_distances,
)


class HardPairs(NamedTuple):
    """Each row as an anchor, with its hardest positive and negative.

    Attributes:
        positive_distance: distance to the farthest positive.
        negative_distance: distance to the nearest negative; meaningless where not `anchor`.
        anchor: rows that count and have a positive and a negative.
        weight: weight of the pair of anchor and positive.
    """

    positive_distance: Float[Array, " batch"]
    negative_distance: Float[Array, " batch"]
    anchor: Bool[Array, " batch"]
    weight: Float[Array, " batch"]


def batch_hard_triplet_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    margin: float | None = 0.3,
    distance: str = "euclidean",
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean over anchors of max(0, d(a, p) − d(a, n) + margin), or softplus(d(a, p) − d(a, n)).

    p is the anchor's farthest positive in the batch (the anchor itself counts as one, unless
    positives have to be of the other domain), n its nearest negative. Anchors whose term is 0
    stay in the mean. The loss is 0 if no anchor has a negative.

    Reference: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss", arXiv:1703.07737,
    equation 5.

    Examples:
        >>> import jax.numpy as jnp
        >>> features, identities = jnp.array([[0.0], [3.0], [5.0], [6.0]]), jnp.array([0, 0, 1, 1])
        >>> float(batch_hard_triplet_loss(features, identities, margin=1.0))
        0.5
        >>> batch_hard_triplet_loss(features, identities, margin=1.0, reduction="none")
        Array([0., 2., 0., 0.], dtype=float32)

    Args:
        features: features before the neck, not normalised.
        identities: identity of each row.
        margin: `None` for the soft margin.
        distance: `euclidean`, sqrt(max(d², 1e-12)), or `cosine`.
        where: rows that count; `None` for all.
        reduction: "mean", each anchor by the weight of the pair with its positive, or "none" for
            each anchor's term, 0 for rows that are not an anchor.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count.

    Returns:
        The loss in at least float32.
    """
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    return triplet_of_pairs(hardest_pairs(pairs, distance), margin, reduction)


def hardest_pairs(pairs: Pairs, distance: str = "euclidean") -> HardPairs:
    """Mines each anchor's farthest positive and nearest negative.

    Pairs are chosen from all distances without a gradient; the distances returned are
    recomputed exactly from the chosen rows and carry the gradient.
    """
    distances = mining_distances(pairs.anchors, pairs.candidates, distance)
    positives = pairs.positives | pairs.itself
    farthest = jnp.argmax(jnp.where(positives, distances, -jnp.inf), axis=1)
    nearest = jnp.argmin(jnp.where(pairs.negatives, distances, jnp.inf), axis=1)
    rows, candidates = pairs.anchors, pairs.candidates
    return HardPairs(
        positive_distance=paired_distances(rows, candidates[farthest], distance),
        negative_distance=paired_distances(rows, candidates[nearest], distance),
        anchor=pairs.where & jnp.any(positives, axis=1) & jnp.any(pairs.negatives, axis=1),
        weight=jnp.take_along_axis(pairs.weights, farthest[:, None], axis=1)[:, 0],
    )


def triplet_of_pairs(
    pairs: HardPairs, margin: float | None, reduction: str = "mean"
) -> Float[Array, ""] | Float[Array, " batch"]:
    """The loss of mined pairs; see `batch_hard_triplet_loss`."""
    gap = pairs.positive_distance - pairs.negative_distance
    return reduce_rows(hinge(gap, margin), pairs.anchor, reduction, pairs.weight)


def hinge(gap: Float[Array, "*shape"], margin: float | None) -> Float[Array, "*shape"]:
    """max(0, gap + margin), or softplus(gap) without a margin."""
    return jax.nn.softplus(gap) if margin is None else jax.nn.relu(gap + margin)


def mining_distances(
    rows: Float[Array, "rows features"],
    others: Float[Array, "others features"],
    distance: str = "euclidean",
) -> Float[Array, "rows others"]:
    """A monotone function of the distance, to choose pairs by; without a gradient.

    Taken about the mean: the matrix product loses small distances between features far from the
    origin, so that late in training, or in a collapse, the wrong pairs would be chosen.
    """
    rows, others = jax.lax.stop_gradient((rows, others))
    if is_cosine(distance):
        rows, others = l2_normalise(rows), l2_normalise(others)
    mean = jnp.mean(others, axis=0)[None, :]
    return squared_distances(rows - mean, others - mean)
