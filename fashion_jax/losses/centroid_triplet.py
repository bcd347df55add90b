"""Centroid triplet loss (Wieczorek et al. 2021, arXiv:2104.13643, equation 3)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.batch_hard_triplet import hardest_pairs, triplet_of_pairs
from fashion_jax.losses.pairs import Pairs
from fashion_jax.losses.rows import NONE, all_rows, zero_padding


def centroid_triplet_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    margin: float | None = 0.5,
    distance: str = "euclidean",
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Batch-hard triplet loss between photos and the centroids of their identities' other photos.

    In round i, every identity's i-th photo is a query and the mean of its other photos a
    centroid; the round's queries and centroids are each other's positives and negatives. The
    loss is the mean over all queries and centroids that have a negative, which for identities of
    equally many photos is the mean over rounds. Identities of one photo take no part.

    Reference: Wieczorek et al. 2021, "On the Unreasonable Effectiveness of Centroids in Image
    Retrieval", arXiv:2104.13643, equation 3.

    Examples:
        >>> import jax.numpy as jnp
        >>> features, identities = jnp.array([[0.0], [2.0], [3.0], [7.0]]), jnp.array([0, 0, 1, 1])
        >>> float(centroid_triplet_loss(features, identities, margin=0.5))
        1.25

    Args:
        features: features before the neck, not normalised.
        identities: identity of each row; any number of photos of each.
        margin: `None` for the soft margin.
        distance: `euclidean` or `cosine`.
        where: rows that count; `None` for all.
        reduction: "mean", or "none" for each photo's mean of two terms, as a query and with the
            centroid of the other photos, 0 for rows that take no part.

    Returns:
        The loss in at least float32; 0 if fewer than two identities have two photos.
    """
    where = all_rows(identities) if where is None else where
    rows = zero_padding(features, where)
    same = (identities[:, None] == identities[None, :]) & where[:, None] & where[None, :]
    counts = jnp.sum(same, axis=1)
    takes_part = where & (counts > 1)
    others = (same & ~jnp.eye(len(where), dtype=bool)).astype(rows.dtype)
    sums = jnp.matmul(others, rows, precision="highest")
    centroids = sums / jnp.maximum(counts - 1, 1).astype(rows.dtype)[:, None]
    rounds = jnp.sum(jnp.tril(same, -1), axis=1)
    pairs = _pairs_of_rounds(
        jnp.concatenate([rows, centroids]),
        jnp.tile(identities, 2),
        jnp.tile(rounds, 2),
        jnp.tile(takes_part, 2),
    )
    loss = triplet_of_pairs(hardest_pairs(pairs, distance), margin, reduction)
    # A photo's query and centroid are of one round, so that both are anchors or neither is.
    return jnp.mean(loss.reshape(2, -1), axis=0) if reduction == NONE else loss


def _pairs_of_rounds(
    rows: Float[Array, "rows features"],
    identities: Int[Array, " rows"],
    rounds: Int[Array, " rows"],
    where: Bool[Array, " rows"],
) -> Pairs:
    same = identities[:, None] == identities[None, :]
    usable = where[:, None] & where[None, :] & (rounds[:, None] == rounds[None, :])
    itself = jnp.eye(len(rows), dtype=bool)
    return Pairs(
        anchors=rows,
        candidates=rows,
        anchor_identities=identities,
        identities=identities,
        where=where,
        candidate_where=where,
        positives=same & usable & ~itself,
        negatives=~same & usable,
        itself=itself & usable,
        weights=jnp.ones(same.shape, rows.dtype),
    )
