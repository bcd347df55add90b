"""Batch-hard quadruplet loss (Chen et al. 2017, arXiv:1704.01719, equation 4)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.batch_hard_triplet import (
    hardest_pairs,
    hinge,
    mining_distances,
    triplet_of_pairs,
)
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, Pairs, make_pairs
from fashion_jax.losses.rows import paired_distances, reduce_rows


class _Strangers(NamedTuple):
    """For each row, the nearest row of another identity, and the nearest of a third one."""

    nearest: Int[Array, " batch"]
    second: Int[Array, " batch"]
    distance: Float[Array, " batch"]
    second_distance: Float[Array, " batch"]


def quadruplet_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    margin: float = 0.3,
    second_margin: float = 0.15,
    distance: str = "euclidean",
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Triplet loss, plus the mean of max(0, d(a, p) − d(n₁, n₂) + second margin).

    p and the triplet's negative as in `batch_hard_triplet_loss`; n₁ and n₂ are the nearest pair of
    two further identities, neither of them the anchor's. The second term is 0 for a batch of
    fewer than three identities.

    Reference: Chen et al. 2017, "Beyond Triplet Loss: a Deep Quadruplet Network", arXiv:1704.01719,
    equation 4.

    Examples:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[0.0], [2.0], [9.0], [10.0]])
        >>> identities = jnp.array([0, 0, 1, 2])
        >>> float(quadruplet_loss(features, identities, margin=0.3, second_margin=0.25))
        0.625

    Args:
        features: features before the neck, not normalised.
        identities: identity of each row.
        margin: α of the paper, margin of the triplet term.
        second_margin: β of the paper, smaller than α.
        distance: `euclidean` or `cosine`.
        where: rows that count; `None` for all.
        reduction: "mean" or "none", for the sum of each anchor's two terms, 0 for rows without
            them. The mean is that of the first terms plus that of the second ones: the two go
            over the same anchors unless `mining` leaves some without n₁ and n₂.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count; n₁ is a negative of the anchor, n₂ any.

    Returns:
        The loss in at least float32.
    """
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    hardest = hardest_pairs(pairs, distance)
    first, other, found = _nearest_strangers(pairs, distance)
    between = paired_distances(pairs.anchors[first], pairs.candidates[other], distance)
    terms = hinge(hardest.positive_distance - between, second_margin)
    second = reduce_rows(terms, hardest.anchor & found, reduction, hardest.weight)
    return triplet_of_pairs(hardest, margin, reduction) + second


def _nearest_strangers(
    pairs: Pairs, distance: str
) -> tuple[Int[Array, " batch"], Int[Array, " batch"], Bool[Array, " batch"]]:
    """Each anchor's n₁ among the batch's rows, n₂ among the candidates, and whether both exist."""
    batch = len(pairs.anchors)
    strangers = _strangers(pairs, distance)
    # Of n₁'s two nearest strangers, the first whose identity is not the anchor's.
    taken = pairs.identities[strangers.nearest][None, :] == pairs.anchor_identities[:, None]
    between = jnp.where(taken, strangers.second_distance[None, :], strangers.distance[None, :])
    between = jnp.where(pairs.negatives[:, :batch], between, jnp.inf)
    first = jnp.argmin(between, axis=1)
    found = jnp.isfinite(jnp.min(between, axis=1))
    own = jnp.take_along_axis(taken, first[:, None], axis=1)[:, 0]
    other = jnp.where(own, strangers.second[first], strangers.nearest[first])
    return first, other, found


def _strangers(pairs: Pairs, distance: str) -> _Strangers:
    distances = mining_distances(pairs.anchors, pairs.candidates, distance)
    usable = pairs.candidate_where[None, :]
    different = pairs.anchor_identities[:, None] != pairs.identities[None, :]
    first = jnp.where(different & usable, distances, jnp.inf)
    nearest = jnp.argmin(first, axis=1)
    third = pairs.identities[nearest][:, None] != pairs.identities[None, :]
    second = jnp.where(third, first, jnp.inf)
    return _Strangers(
        nearest=nearest,
        second=jnp.argmin(second, axis=1),
        distance=jnp.min(first, axis=1),
        second_distance=jnp.min(second, axis=1),
    )
