"""Adam with coupled weight decay for the network, plain SGD for the centers."""

import jax
import optax
from jaxtyping import Array, Float

from fashion_jax.config import OptimizerConfig
from fashion_jax.optim.schedules import warmup_multistep


def make_optimizer(config: OptimizerConfig, steps_per_epoch: int) -> optax.GradientTransformation:
    """Adam (arXiv:1412.6980) on `gradient + weight_decay · parameter`, for every parameter.

    The decay goes through the moments, as in the strong baseline (PyTorch's `Adam`), and not past
    them, as in AdamW; BatchNorm's parameters and biases decay too.

    Args:
        config: rate, schedule and weight decay.
        steps_per_epoch: optimizer steps in an epoch.

    Returns:
        The transformation; its step counter starts at 0.
    """
    return _standard_promotion(
        optax.chain(
            optax.add_decayed_weights(config.weight_decay),
            optax.scale_by_adam(b1=0.9, b2=0.999, eps=1e-8),
            optax.scale_by_learning_rate(warmup_multistep(config, steps_per_epoch)),
        )
    )


def update_centers(
    centers: Float[Array, "identities features"],
    gradient: Float[Array, "identities features"],
    learning_rate: float,
) -> Float[Array, "identities features"]:
    """One SGD step of the center loss's centers.

    Args:
        centers: one per training identity.
        gradient: of the unweighted center loss, from `fashion_jax.losses.center_gradient`.
        learning_rate: constant through training.

    Returns:
        The new centers, in their own dtype.
    """
    return centers - learning_rate * gradient.astype(centers.dtype)


def _standard_promotion(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Lets Optax, which raises a float to an integer step, run under strict promotion."""

    def update(
        updates: optax.Updates, state: optax.OptState, params: optax.Params | None = None
    ) -> tuple[optax.Updates, optax.OptState]:
        with jax.numpy_dtype_promotion("standard"):
            return optimizer.update(updates, state, params)

    return optax.GradientTransformation(optimizer.init, update)
