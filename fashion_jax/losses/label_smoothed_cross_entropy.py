"""Cross entropy with smoothed labels (Szegedy et al. 2015, arXiv:1512.00567, section 7)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.masking import all_valid, masked_mean, zero_padding


def label_smoothed_cross_entropy(
    logits: Float[Array, "batch classes"],
    labels: Int[Array, " batch"],
    smoothing: float = 0.1,
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """Mean cross entropy against (1 − ε)·onehot(label) + ε/K over the K classes.

    −(1 − ε)·log p(label) − ε·mean over classes of log p, so that the target is never built. A
    valid row's label outside of 0..K−1 makes the loss NaN.

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

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """
    valid = all_valid(labels) if valid is None else valid
    log_p = jax.nn.log_softmax(zero_padding(logits, valid), axis=1)
    labels = jnp.where(valid, labels, 0)
    # A label that does not exist is filled with NaN; a negative one must not wrap round.
    labels = jnp.where(labels < 0, logits.shape[1], labels)
    log_p_label = jnp.take_along_axis(log_p, labels[:, None], axis=1, mode="fill")[:, 0]
    terms = -(1.0 - smoothing) * log_p_label - smoothing * jnp.mean(log_p, axis=1)
    return masked_mean(terms, valid)
