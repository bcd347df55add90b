"""Center loss (Wen et al. 2016, "A Discriminative Feature Learning Approach", equation 2)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from fashion_jax.losses.rows import all_rows, at_least_float32, reduce_rows, zero_padding


def center_loss(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    centers: Float[Array, "identities features"],
    *,
    where: Bool[Array, " batch"] | None = None,
    reduction: str = "mean",
) -> Float[Array, ""] | Float[Array, " batch"]:
    """Mean over rows of ‖x − c_y‖²; without the ½ of the paper, as in ReID's baselines.

    A row that counts and whose identity has no center makes the loss NaN.

    Reference: Wen et al. 2016, "A Discriminative Feature Learning Approach for Deep Face
    Recognition", equation 2; without ½: Luo et al. 2019, arXiv:1906.08332.

    Examples:
        >>> import jax.numpy as jnp
        >>> features, centers = jnp.array([[3.0, 4.0]]), jnp.zeros((1, 2))
        >>> float(center_loss(features, jnp.array([0]), centers))
        25.0

    Args:
        features: features before the neck, not normalised.
        identities: row of each photo's center.
        centers: one center for each training identity.
        where: rows that count; `None` for all.
        reduction: "mean" over the rows that count, or "none" for each row's squared distance.

    Returns:
        The loss in at least float32; 0 if no row counts.
    """
    where = all_rows(identities) if where is None else where
    own = jnp.where(where, identities, 0)
    # An identity without a center is filled with NaN; a negative one must not wrap round.
    own = jnp.where(own < 0, centers.shape[0], own)
    own_centers = at_least_float32(centers).at[own].get(mode="fill", fill_value=jnp.nan)
    difference = zero_padding(features, where) - jnp.where(where[:, None], own_centers, 0.0)
    return reduce_rows(jnp.sum(difference * difference, axis=1), where, reduction)


def center_gradient(
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    centers: Float[Array, "identities features"],
    *,
    where: Bool[Array, " batch"] | None = None,
) -> Float[Array, "identities features"]:
    """Gradient of the unweighted center loss with respect to the centers.

    The centers have their own optimizer, which does not see the loss's weight: their
    gradient is 2(c − x)/B, summed over the identity's rows.

    Reference: Luo et al. 2019, "Bag of Tricks and a Strong Baseline", arXiv:1906.08332.

    Examples:
        >>> import jax.numpy as jnp
        >>> center_gradient(jnp.array([[3.0, 4.0]]), jnp.array([0]), jnp.zeros((1, 2)))
        Array([[-6., -8.]], dtype=float32)

    Args:
        features: features before the neck; treated as a constant.
        identities: row of each photo's center.
        centers: one center for each training identity.
        where: rows that count; `None` for all.

    Returns:
        The gradient, 0 for identities that are not in the batch.
    """
    features = jax.lax.stop_gradient(features)
    return jax.grad(center_loss, argnums=2)(features, identities, centers, where=where)


def moved_centers(
    centers: Float[Array, "identities features"],
    features: Float[Array, "batch features"],
    identities: Int[Array, " batch"],
    learning_rate: float,
    *,
    where: Bool[Array, " batch"] | None = None,
) -> Float[Array, "identities features"]:
    """Centers after a step of SGD on `center_gradient`.

    Only the batch's rows are read and written, however many identities there are.

    Args:
        centers: one center for each training identity.
        features: features before the neck; treated as a constant.
        identities: row of each photo's center.
        learning_rate: rate of the step.
        where: rows that count; `None` for all.
    """
    where = all_rows(identities) if where is None else where
    own = jnp.where(where & (identities >= 0), identities, centers.shape[0])
    own_centers = at_least_float32(centers).at[own].get(mode="fill", fill_value=0)
    difference = zero_padding(jax.lax.stop_gradient(features), where) - own_centers
    count = jnp.maximum(jnp.sum(where), 1).astype(difference.dtype)
    step = (2 * learning_rate / count * difference).astype(centers.dtype)
    return centers.at[own].add(step, mode="drop")
