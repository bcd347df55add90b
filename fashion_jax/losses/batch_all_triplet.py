"""Triplet loss over all triplets of a batch (Hermans et al. 2017, arXiv:1703.07737, eq. 6)."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.batch_hard_triplet import hinge
from fashion_jax.losses.distances import pairwise_distances
from fashion_jax.losses.pairs import Context, make_pairs

# Anchors whose triplets are in memory at once.
ANCHORS_AT_ONCE = 16


class _Anchor(NamedTuple):
    distances: Float[Array, "*anchors candidates"]
    positives: Bool[Array, "*anchors candidates"]
    negatives: Bool[Array, "*anchors candidates"]
    weights: Float[Array, "*anchors candidates"]


def batch_all_triplet(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    margin: float | None = 0.3,
    valid: Bool[Array, " batch"] | None = None,
    distance: str = "euclidean",
    context: Context | None = None,
) -> Float[Array, ""]:
    """Mean of max(0, d(a, p) − d(a, n) + margin) over the triplets in which it is above 0.

    p runs over the anchor's positives, n over its negatives. Without a margin it is the mean of
    softplus(d(a, p) − d(a, n)) over all triplets. 0 where there are none.

    Example:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[0.0], [3.0], [5.0]])
        >>> float(batch_all_triplet(features, jnp.array([0, 0, 1]), margin=1.0))
        2.0

    Args:
        features: before the neck, not normalised.
        identities: of each row.
        margin: `None` for the soft margin.
        valid: rows that are not padding; all of them if `None`.
        distance: `euclidean` or `cosine`.
        context: domains and which pairs count; a triplet counts as much as its positive pair.

    Returns:
        The loss, at least in float32.
    """
    pairs = make_pairs(features, identities, valid, context)
    anchors = _Anchor(
        pairwise_distances(pairs.anchors, pairs.candidates, distance),
        pairs.positives & pairs.valid[:, None],
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
