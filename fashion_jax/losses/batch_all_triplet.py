"""Triplet loss over all triplets of a batch (Hermans et al. 2017, arXiv:1703.07737, eq. 6)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.batch_hard_triplet import hinge
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, make_pairs
from fashion_jax.losses.rows import check_reduction, pairwise_distances

# Anchors whose triplets are in memory at once.
ANCHORS_AT_ONCE = 16


class _Anchor(NamedTuple):
    distances: Float[Array, "*anchors candidates"]
    positives: Bool[Array, "*anchors candidates"]
    negatives: Bool[Array, "*anchors candidates"]
    weights: Float[Array, "*anchors candidates"]


def batch_all_triplet_loss(
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
) -> Float[Array, ""]:
    """Mean of max(0, d(a, p) − d(a, n) + margin) over the triplets in which it is above 0.

    p runs over the anchor's positives, n over its negatives. Without a margin it is the mean of
    softplus(d(a, p) − d(a, n)) over all triplets. 0 for a batch without triplets.

    Reference: Hermans, Beyer, Leibe 2017, "In Defense of the Triplet Loss", arXiv:1703.07737,
    equation 6 and section 2 (mean over the non-zero terms).

    Examples:
        >>> import jax.numpy as jnp
        >>> features, identities = jnp.array([[0.0], [3.0], [5.0]]), jnp.array([0, 0, 1])
        >>> float(batch_all_triplet_loss(features, identities, margin=1.0))
        2.0

    Args:
        features: features before the neck, not normalised.
        identities: identity of each row.
        margin: `None` for the soft margin.
        distance: `euclidean` or `cosine`.
        where: rows that count; `None` for all.
        reduction: "mean", each triplet by the weight of its positive pair.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count.

    Returns:
        The loss in at least float32.

    Raises:
        ValueError: for `reduction="none"`: the mean is over triplets, not over rows.
    """
    check_reduction(reduction, no_rows="batch_all_triplet_loss is a mean over triplets")
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    anchors = _Anchor(
        pairwise_distances(pairs.anchors, pairs.candidates, distance),
        pairs.positives & pairs.where[:, None],
        pairs.negatives,
        pairs.weights,
    )

    @jax.checkpoint
    def one(anchor: _Anchor) -> tuple[Array, Array]:
        gap = anchor.distances[:, None] - anchor.distances[None, :]
        triplets = anchor.positives[:, None] & anchor.negatives[None, :]
        terms = jnp.where(triplets, hinge(gap, margin), 0.0)
        counted = jnp.where(triplets & (terms > 0), anchor.weights[:, None], 0.0)
        return jnp.sum(terms * counted), jnp.sum(counted)

    totals, counts = jax.lax.map(one, anchors, batch_size=min(ANCHORS_AT_ONCE, len(features)))
    count = jnp.sum(counts)
    return jnp.sum(totals) / jnp.where(count > 0, count, 1.0)
