"""Supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362, equation 2)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import cosines
from fashion_jax.losses.masking import log_sum_exp, masked_mean
from fashion_jax.losses.pairs import Context, make_pairs


def supervised_contrastive(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    temperature: float = 0.1,
    valid: Bool[Array, " batch"] | None = None,
    context: Context | None = None,
) -> Float[Array, ""]:
    """Mean over anchors of −mean over positives p of log(e^(s_p/τ) / Σ over others e^(s/τ)).

    s are cosines, the others all positives and negatives of the anchor. Anchors without a
    positive are left out.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = supervised_contrastive(jnp.ones((4, 2)), jnp.array([0, 0, 1, 1]))
        >>> round(float(loss), 5)  # log 3: one positive among three others, all alike
        1.09861

    Args:
        features: before the neck; normalised here.
        identities: of each row.
        temperature: τ.
        valid: rows that are not padding; all of them if `None`.
        context: domains, memory and which pairs count; a pair's weight is that of its logarithm
            among the positives.

    Returns:
        The loss, at least in float32.
    """
    pairs = make_pairs(features, identities, valid, context)
    scores = cosines(pairs.anchors, pairs.candidates) / temperature
    log_p = scores - log_sum_exp(scores, pairs.positives | pairs.negatives)[:, None]
    weights = jnp.where(pairs.positives, pairs.weights, 0.0)
    totals = jnp.sum(weights, axis=1)
    terms = -jnp.sum(weights * log_p, axis=1) / jnp.where(totals > 0, totals, 1.0)
    return masked_mean(terms, pairs.valid & (totals > 0))
