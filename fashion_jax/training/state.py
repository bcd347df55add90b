"""The state that a training step changes."""

import dataclasses
import math
from typing import Any

import jax

PureTree = Any  # nested dicts of arrays
Leaf = Any  # array; in an abstract state its shape, dtype and place


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class TrainState:
    """One pytree; a step takes it (donated) and returns the next one.

    Attributes:
        step: steps done, int32.
        params: trained parameters.
        model_state: running statistics of the BatchNorms.
        optimizer_state: state of the Optax optimizer.
        loss_state: state of the objective, such as `centers` [identities, features] and `memory`.
        average: moving average of `params` and `model_state`; empty without one.
        rng: raw key of the run, uint32 [2]; each user on the device folds the step into it.
    """

    step: Leaf
    params: PureTree
    model_state: PureTree
    optimizer_state: PureTree
    loss_state: PureTree
    average: PureTree
    rng: Leaf

    def __repr__(self) -> str:
        """Name the step and the size; the arrays would fill thousands of lines."""
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.params))
        return f"{type(self).__name__}(step={self.step}, {count:,} parameters)"

    @property
    def embedding_params(self) -> PureTree:
        """The parameters to embed with: their average, if there is one."""
        return self.average["params"] if self.average else self.params

    @property
    def embedding_model_state(self) -> PureTree:
        """The running statistics that belong to `embedding_params`."""
        return self.average["model_state"] if self.average else self.model_state
