"""Circle loss over pairs (Sun et al. 2020, arXiv:2002.10857, equations 6 and 8)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.distances import cosines
from fashion_jax.losses.masking import log_sum_exp, masked_mean
from fashion_jax.losses.pairs import Context, make_pairs


def circle(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    margin: float = 0.25,
    scale: float = 128.0,
    valid: Bool[Array, " batch"] | None = None,
    context: Context | None = None,
) -> Float[Array, ""]:
    """Mean over anchors of log(1 + Σ e^(γ α_n (s_n − m)) · Σ e^(−γ α_p (s_p − 1 + m))).

    s are cosines, α_p = max(0, 1 + m − s_p) and α_n = max(0, s_n + m), both without a gradient.
    Anchors without a positive or a negative are left out.

    Example:
        >>> import jax.numpy as jnp
        >>> features = jnp.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
        >>> loss = circle(features, jnp.array([0, 0, 1, 1]), margin=0.25, scale=8.0)
        >>> round(float(loss), 4)  # log(1 + 2 · e^(−8 · 0.25 · 0.25))
        0.7944

    Args:
        features: before the neck; normalised here.
        identities: of each row.
        margin: m.
        scale: γ.
        valid: rows that are not padding; all of them if `None`.
        context: domains, memory and which pairs count; a pair's weight multiplies its power.

    Returns:
        The loss, at least in float32.
    """
    pairs = make_pairs(features, identities, valid, context)
    similarity = cosines(pairs.anchors, pairs.candidates)
    constant = jax.lax.stop_gradient(similarity)
    pull = jax.nn.relu(1.0 + margin - constant) * (similarity - (1.0 - margin))
    push = jax.nn.relu(constant + margin) * (similarity - margin)
    weights = jnp.log(pairs.weights)
    both = log_sum_exp(weights + scale * push, pairs.negatives)
    both += log_sum_exp(weights - scale * pull, pairs.positives)
    anchors = pairs.valid & jnp.any(pairs.positives, axis=1) & jnp.any(pairs.negatives, axis=1)
    return masked_mean(jax.nn.softplus(both), anchors)
