"""The protocol of an objective: the config's, or your own."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Key

Batch = Mapping[str, Array]
LossState = dict[str, Any]  # nested dicts of arrays
Scalars = dict[str, Float[Array, ""]]
# (features [batch, features], embedding [batch, embedding], batch) -> scalar
Term = Callable[[Array, Array, Batch], Array]


@runtime_checkable
class ObjectiveLike(Protocol):
    """An objective that `train` and `make_learner` minimise.

    A class that derives from this one and defines `__call__` alone keeps no state. All methods
    are traced: they have to be pure.

    Examples:
        >>> import jax.numpy as jnp
        >>> class NormObjective(ObjectiveLike):
        ...     def __call__(self, features, embedding, batch, **_):
        ...         loss = jnp.mean(jnp.where(batch["valid"][:, None], features**2, 0.0))
        ...         return loss, {"loss/norm": loss}
        >>> isinstance(NormObjective(), ObjectiveLike)
        True
    """

    def initial_state(
        self,
        key: Key[Array, ""],
        *,
        batch_size: int,
        feature_width: int,
        num_identities: int,
        dtype: DTypeLike,
    ) -> LossState:
        """State before the first step: nested dicts of arrays, saved with each checkpoint.

        Args:
            key: random key.
            batch_size: rows of a batch, over all devices.
            feature_width: width of a feature before the neck.
            num_identities: training identities.
            dtype: dtype of the parameters.
        """
        return {}

    def __call__(
        self,
        features: Float[Array, "batch features"],
        embedding: Float[Array, "batch embedding"],
        batch: Batch,
        *,
        classifier: Mapping[str, Array] | None,
        num_identities: int,
        state: LossState,
        key: Key[Array, ""],
    ) -> tuple[Float[Array, ""], Scalars]:
        """Compute the total to minimise, and scalars to log.

        Gradients flow through `features`, `embedding` and `classifier`.

        Args:
            features: features before the neck.
            embedding: embedding after the neck and dropout.
            batch: `identity` (dense, int32), `domain` (0 street, 1 shop) and `valid` (False for
                padding), each [batch], over all devices.
            classifier: `kernel` [embedding, columns] and perhaps `bias` [classes].
            num_identities: training identities; the first so many classes.
            state: state before the step.
            key: random key of the step.

        Returns:
            The total, logged as `loss/total`, and further scalars by the names to log them under.
        """
        ...

    def next_state(
        self,
        state: LossState,
        features: Float[Array, "batch features"],
        batch: Batch,
        *,
        step: Int[Array, ""],
    ) -> LossState:
        """State after a step, of the same structure, shapes and dtypes.

        Args:
            state: state before the step.
            features: features before the neck, without a gradient.
            batch: as in `__call__`.
            step: steps done before this one.
        """
        return state
