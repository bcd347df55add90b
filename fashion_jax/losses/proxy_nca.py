"""Proxy-NCA loss (Movshovitz-Attias et al. 2017, arXiv:1703.07464, equation 8)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classes import label, own_score
from fashion_jax.losses.masking import log_sum_exp, masked_mean


def proxy_nca(
    cosines: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    scale: float = 30.0,
    valid: Bool[Array, " batch"] | None = None,
    counted: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Mean of −log(e^(−d(x, p_y)) / Σ over other proxies e^(−d(x, p))).

    d = s·‖x − p‖²/2 = s·(1 − cos) between normalised embedding and proxy; s = 2 is the paper's,
    larger ones are a lower temperature (Teh et al. 2020, arXiv:2004.01113, section 3.1). The own
    proxy is not among the others, so that the loss may be negative.

    Example:
        >>> import jax.numpy as jnp
        >>> float(proxy_nca(jnp.array([[1.0, 0.0]]), jnp.array([0]), scale=2.0))
        -2.0

    Args:
        cosines: between embedding and proxies, from `classes.cosine_scores`.
        labels: class of each row; a valid row's label without a proxy makes the loss NaN.
        scale: s.
        valid: rows that are not padding; all of them if `None`.
        counted: columns that are a class; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid, or there is one class only.
    """
    labelled = label(cosines, labels, valid, counted)
    others = labelled.counted[None, :] & ~labelled.own
    against = log_sum_exp(scale * labelled.scores, others)
    terms = against - scale * own_score(labelled)
    return masked_mean(terms, labelled.valid & jnp.any(others, axis=1))
