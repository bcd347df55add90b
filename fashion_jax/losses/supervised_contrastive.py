"""Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, make_pairs
from fashion_jax.losses.rows import cosines, log_sum_exp, reduce_rows


def supervised_contrastive_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    temperature: float = 0.1,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean over anchors of −mean over positives p of log(e^(s_p/τ) / Σ over others e^(s/τ)).

    s are cosines, the others all positives and negatives of the anchor. Rows without a positive
    are not anchors.

    Reference: Khosla et al. 2020, "Supervised Contrastive Learning", arXiv:2004.11362, equation 2.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = supervised_contrastive_loss(jnp.ones((4, 2)), jnp.array([0, 0, 1, 1]))
        >>> round(float(loss), 5)  # log 3: one positive among three others, all alike
        1.09861

    Args:
        features: features before the neck; normalised here.
        identities: identity of each row.
        temperature: τ.
        where: rows that count; `None` for all.
        reduction: "mean", or "none" for each anchor's term, 0 for rows that are not an anchor.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count; a pair's weight is that of its logarithm among the positives.

    Returns:
        The loss in at least float32.
    """
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    scores = cosines(pairs.anchors, pairs.candidates) / temperature
    log_p = scores - log_sum_exp(scores, pairs.positives | pairs.negatives)[:, None]
    weights = jnp.where(pairs.positives, pairs.weights, 0.0)
    totals = jnp.sum(weights, axis=1)
    terms = -jnp.sum(weights * log_p, axis=1) / jnp.where(totals > 0, totals, 1.0)
    return reduce_rows(terms, pairs.where & (totals > 0), reduction)
