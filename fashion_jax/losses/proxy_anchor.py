"""Proxy-anchor loss (Kim et al. 2020, arXiv:2003.13911, equation 4)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classification_losses import label
from fashion_jax.losses.rows import check_reduction, log_one_plus_sum_exp, masked_mean


def proxy_anchor_loss(
    cosines: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    *,
    alpha: float = 32.0,
    delta: float = 0.1,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    where_classes: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Each proxy is an anchor: those of the batch pull their photos, all push the others'.

    Mean over the batch's proxies of log(1 + Σ e^(−α(s − δ))) over the proxy's own photos, plus
    mean over all proxies of log(1 + Σ e^(α(s + δ))) over the others; s are cosines.

    Reference: Kim et al. 2020, "Proxy Anchor Loss for Deep Metric Learning", arXiv:2003.13911,
    equation 4.

    Examples:
        >>> import jax.numpy as jnp
        >>> loss = proxy_anchor_loss(jnp.array([[0.1, -0.1]]), jnp.array([0]), alpha=1.0)
        >>> round(float(loss), 5)  # log 2 + log 2 / 2
        1.03972

    Args:
        cosines: cosines between embedding and proxies, from `cosine_scores`.
        identities: column of each row's proxy; a row that counts and has none makes the loss NaN.
        alpha: α.
        delta: δ.
        where: rows that count; `None` for all.
        reduction: "mean" over proxies.
        where_classes: columns that are a class; `None` for all.

    Returns:
        The loss in at least float32; 0 if no row counts.

    Raises:
        ValueError: for `reduction="none"`: the means are over proxies, not over rows.
    """
    check_reduction(reduction, no_rows="proxy_anchor_loss is a mean over proxies")
    labelled = label(cosines, identities, where, where_classes)
    own, scores = labelled.own.T, labelled.scores.T
    others = labelled.where[None, :] & labelled.classes[:, None] & ~own
    pull = log_one_plus_sum_exp(-alpha * (scores - delta), own)
    push = log_one_plus_sum_exp(alpha * (scores + delta), others)
    unknown = 0.0 * jnp.sum(labelled.own_score())  # NaN for a label that does not exist
    loss = masked_mean(pull, jnp.any(own, axis=1)) + masked_mean(push, labelled.classes)
    return jnp.where(jnp.any(labelled.where), loss + unknown, 0.0)
