"""Center loss (Wen et al. 2016, "A Discriminative Feature Learning Approach", equation 2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.masking import all_valid, at_least_float32, masked_mean, zero_padding


def center(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    centers: Float[Array, "identities features"],
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, ""]:
    """Mean over the batch of ‖x − c_y‖²; without the ½ of the paper, as in ReID's baselines.

    A valid row's identity without a center makes the loss NaN.

    Example:
        >>> import jax.numpy as jnp
        >>> features, centers = jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))
        >>> float(center(features, jnp.array([0]), centers))
        25.0

    Args:
        features: before the neck, not normalised.
        identities: row of each one's center.
        centers: one per training identity.
        valid: rows that are not padding; all of them if `None`.

    Returns:
        The loss, at least in float32; 0 where no row is valid.
    """
    valid = all_valid(identities) if valid is None else valid
    own = jnp.where(valid, identities, 0)
    # An identity without a center is filled with NaN; a negative one must not wrap round.
    own = jnp.where(own < 0, centers.shape[0], own)
    own_centers = at_least_float32(centers).at[own].get(mode="fill", fill_value=jnp.nan)
    difference = zero_padding(features, valid) - jnp.where(valid[:, None], own_centers, 0.0)
    return masked_mean(jnp.sum(difference * difference, axis=1), valid)


def center_gradient(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    centers: Float[Array, "identities features"],
    valid: Bool[Array, " batch"] | None = None,
) -> Float[Array, "identities features"]:
    """Gradient of the unweighted center loss with respect to the centers.

    The centers have an optimizer of their own, which does not see the loss's weight
    (arXiv:1906.08332): 2(c − x)/B, summed over the identity's rows.

    Args:
        features: before the neck; treated as a constant.
        identities: row of each one's center.
        centers: one per training identity.
        valid: rows that are not padding; all of them if `None`.

    Returns:
        The gradient, 0 for identities that are not in the batch.
    """
    return jax.grad(center, argnums=2)(jax.lax.stop_gradient(features), identities, centers, valid)
