"""Cross entropy with smoothed labels (Szegedy et al. 2015, arXiv:1512.00567, section 7)."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.classes import label, own_score
from fashion_jax.losses.masking import log_sum_exp, masked_mean


def label_smoothed_cross_entropy(
    logits: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    smoothing: float = 0.1,
    valid: Bool[Array, " batch"] | None = None,
    counted: Bool[Array, " classes"] | None = None,
) -> Float[Array, ""]:
    """Mean cross entropy against (1 − ε)·onehot(label) + ε/K over the K classes.

    −(1 − ε)·log p(label) − ε·mean over classes of log p, so that the target is never built. A
    valid row's label outside of 0..K−1 makes the loss NaN. The columns may be divided over
    devices: nothing but sums and maxima over them is exchanged.

    Example:
        >>> import jax.numpy as jnp
        >>> loss = label_smoothed_cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3]))
        >>> round(float(loss), 5)  # log 4, whatever the smoothing
        1.38629

    Args:
        logits: not normalised.
        labels: class of each row.
        smoothing: ε.
        valid: rows that are not padding; all of them if `None`.
        counted: columns that are a class; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """
    labelled = label(logits, labels, valid, counted)
    everywhere = jnp.broadcast_to(labelled.counted[None, :], labelled.scores.shape)
    normaliser = log_sum_exp(labelled.scores, everywhere)
    classes = jnp.maximum(jnp.sum(labelled.counted), 1).astype(normaliser.dtype)
    mean = jnp.sum(labelled.scores, axis=1) / classes
    terms = normaliser - (1.0 - smoothing) * own_score(labelled) - smoothing * mean
    return masked_mean(terms, labelled.valid)
