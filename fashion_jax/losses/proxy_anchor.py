"""Proxy-anchor loss (Kim et al. 2020, arXiv:2003.13911, equation 4)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classes import label, own_score
from fashion_jax.losses.masking import log_one_plus_sum_exp, masked_mean


def proxy_anchor(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    alpha: float = 32.0,
    delta: float = 0.1,
    valid: Bool[Array, " batch"] | None = None,
    counted: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Each proxy is an anchor: those of the batch pull their photos, all push the others'.

    Mean over the batch's proxies of log(1 + Σ e^(−α(s − δ))) over the proxy's own photos, plus
    mean over all proxies of log(1 + Σ e^(α(s + δ))) over the others; s are cosines.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = proxy_anchor(jnp.array([[0.1, -0.1]]), jnp.array([0]), alpha=1.0)
        >>> round(float(loss), 5)  # log 2 + log 2 / 2
        1.03972

    Args:
        cosines: between embedding and proxies, from `classes.cosine_scores`.
        labels: class of each row; a valid row's label without a proxy makes the loss NaN.
        alpha: α.
        delta: δ.
        valid: rows that are not padding; all of them if `None`.
        counted: columns that are a class; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """
    labelled = label(cosines, labels, valid, counted)
    own, scores = labelled.own.T, labelled.scores.T
    others = labelled.valid[None, :] & labelled.counted[:, None] & ~own
    pull = log_one_plus_sum_exp(-alpha * (scores - delta), own)
    push = log_one_plus_sum_exp(alpha * (scores + delta), others)
    unknown = 0.0 * jnp.sum(own_score(labelled))  # NaN for a label that does not exist
    loss = masked_mean(pull, jnp.any(own, axis=1)) + masked_mean(push, labelled.counted)
    return jnp.where(jnp.any(labelled.valid), loss + unknown, 0.0)
