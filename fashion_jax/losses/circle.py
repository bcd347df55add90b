"""Circle loss over pairs (Sun et al. 2020, arXiv:2002.10857, equations 6 and 8)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.config import MiningConfig
from fashion_jax.losses.pairs import ALL_PAIRS, Memory, make_pairs
from fashion_jax.losses.rows import cosines, log_sum_exp, reduce_rows


def circle_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    *,
    margin: float = 0.25,
    scale: float = 128.0,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    domains: Int[Array, " batch"] | None = None,
    memory: Memory | None = None,
    mining: MiningConfig = ALL_PAIRS,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean over anchors of log(1 + Σ e^(γ α_n (s_n − m)) · Σ e^(−γ α_p (s_p − 1 + m))).

    s are cosines, α_p = max(0, 1 + m − s_p) and α_n = max(0, s_n + m), both without a gradient.
    Rows without a positive or a negative are not anchors.

    Reference: Sun et al. 2020, "Circle Loss", arXiv:2002.10857, equations 6 and 8.

    Examples:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
        >>> loss = circle_loss(features, jnp.array([0, 0, 1, 1]), margin=0.25, scale=8.0)
        >>> round(float(loss), 4)  # log(1 + 2 · e^(−8 · 0.25 · 0.25))
        0.7944

    Args:
        features: features before the neck; normalised here.
        identities: identity of each row.
        margin: m.
        scale: γ.
        where: rows that count; `None` for all.
        reduction: "mean", or "none" for each anchor's term, 0 for rows that are not an anchor.
        domains: street (0) or shop (1), of each row; needed if `mining` tells them apart.
        memory: features of earlier batches, as further candidates.
        mining: pairs that count; a pair's weight multiplies its power.

    Returns:
        The loss in at least float32.
    """
    pairs = make_pairs(
        features, identities, where=where, domains=domains, memory=memory, mining=mining
    )
    similarity = cosines(pairs.anchors, pairs.candidates)
    constant = jax.lax.stop_gradient(similarity)
    pull = jax.nn.relu(1.0 + margin - constant) * (similarity - (1.0 - margin))
    push = jax.nn.relu(constant + margin) * (similarity - margin)
    weights = jnp.log(pairs.weights)
    both = log_sum_exp(weights + scale * push, pairs.negatives)
    both += log_sum_exp(weights - scale * pull, pairs.positives)
    anchors = pairs.where & jnp.any(pairs.positives, axis=1) & jnp.any(pairs.negatives, axis=1)
    return reduce_rows(jax.nn.softplus(both), anchors, reduction)
