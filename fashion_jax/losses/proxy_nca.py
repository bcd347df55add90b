"""Proxy-NCA loss (Movshovitz-Attias et al. 2017, arXiv:1703.07464, equation 8)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classification_losses import label
from fashion_jax.losses.rows import log_sum_exp, reduce_rows


def proxy_nca_loss(
    cosines: Float[Array, "batch classes"],
    identities: Int[Array, " batch"],
    *,
    scale: float = 30.0,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
    where_classes: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean of −log(e^(−d(x, p_y)) / Σ over other proxies e^(−d(x, p))).

    d = s·‖x − p‖²/2 = s·(1 − cos) between normalised embedding and proxy; s = 2 is the paper's,
    larger ones are a lower temperature. The own proxy is not among the others, so that the loss
    may be negative.

    Reference: Movshovitz-Attias et al. 2017, "No Fuss Distance Metric Learning using Proxies",
    arXiv:1703.07464, equation 8; scale: Teh et al. 2020, arXiv:2004.01113, section 3.1.

    Examples:
        >>> import jax.numpy as jnp
        >>> float(proxy_nca_loss(jnp.array([[1.0, 0.0]]), jnp.array([0]), scale=2.0))
        -2.0

    Args:
        cosines: cosines between embedding and proxies, from `cosine_scores`.
        identities: column of each row's proxy; a row that counts and has none makes the loss NaN.
        scale: s.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's term.
        where_classes: columns that are a class; `None` for all.

    Returns:
        The loss in at least float32; 0 if no row counts, or for a single class.
    """
    labelled = label(cosines, identities, where, where_classes)
    others = labelled.classes[None, :] & ~labelled.own
    against = log_sum_exp(scale * labelled.scores, others)
    terms = against - scale * labelled.own_score()
    return reduce_rows(terms, labelled.where & jnp.any(others, axis=1), reduction)
