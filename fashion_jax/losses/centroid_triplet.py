"""Centroid triplet loss (Wieczorek et al. 2021, arXiv:2104.13643, equation 3)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.batch_hard_triplet import hardest_pairs, triplet_of_pairs
from fashion_jax.losses.masking import all_valid, zero_padding
from fashion_jax.losses.pairs import Pairs


def centroid_triplet(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    margin: float | None = 0.5,
    valid: Bool[Array, " batch"] | None = None,
    distance: str = "euclidean",
) -> Float[Array, ""]:
    """Batch-hard triplet loss between photos and the centroids of their identities' other photos.

    In round i, every identity's i-th photo is a query and the mean of its other photos a
    centroid; the round's queries and centroids are each other's positives and negatives. The
    loss is the mean over all queries and centroids that have a negative, which for identities of
    equally many photos is the mean over rounds. Identities of one photo take no part.

    Example:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[0.0], [2.0], [3.0], [7.0]])
        >>> float(centroid_triplet(features, jnp.array([0, 0, 1, 1]), margin=0.5))
        1.25

    Args:
        features: before the neck, not normalised.
        identities: of each row; any number of photos of each.
        margin: `None` for the soft margin.
        valid: rows that are not padding; all of them if `None`.
        distance: `euclidean` or `cosine`.

    Returns:
        The loss, at least in float32; 0 where fewer than two identities have two photos.
    """
    valid = all_valid(identities) if valid is None else valid
    rows = zero_padding(features, valid)
    same = (identities[:, None] == identities[None, :]) & valid[:, None] & valid[None, :]
    counts = jnp.sum(same, axis=1)
    takes_part = valid & (counts > 1)
    others = (same & ~jnp.eye(len(valid), dtype=bool)).astype(rows.dtype)
    sums = jnp.matmul(others, rows, precision="highest")
    centroids = sums / jnp.maximum(counts - 1, 1).astype(rows.dtype)[:, None]
    rounds = jnp.sum(jnp.tril(same, -1), axis=1)
    pairs = _pairs_of_rounds(
        jnp.concatenate([rows, centroids]),
        jnp.tile(identities, 2),
        jnp.tile(rounds, 2),
        jnp.tile(takes_part, 2),
    )
    return triplet_of_pairs(hardest_pairs(pairs, distance), margin)


def _pairs_of_rounds(
    rows: Float[Array, "rows features"],
    identities: Int[Array, " rows"],
    rounds: Int[Array, " rows"],
    valid: Bool[Array, " rows"],
) -> Pairs:
    same = identities[:, None] == identities[None, :]
    usable = valid[:, None] & valid[None, :] & (rounds[:, None] == rounds[None, :])
    itself = jnp.eye(len(rows), dtype=bool)
    return Pairs(
        anchors=rows,
        candidates=rows,
        anchor_identities=identities,
        identities=identities,
        valid=valid,
        candidate_valid=valid,
        positives=same & usable & ~itself,
        negatives=~same & usable,
        itself=itself & usable,
        weights=jnp.ones(same.shape, rows.dtype),
    )
