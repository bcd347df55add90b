"""Exponential moving average of the weights (Polyak & Juditsky 1992)."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

PureTree = Any  # nested dicts of arrays


def init(params: PureTree, model_state: PureTree) -> PureTree:
    """The average before the first step: copies, since a step donates its input."""
    return jax.tree.map(jnp.copy, {"params": params, "model_state": model_state})


def update(
    average: PureTree, params: PureTree, model_state: PureTree, step: Int[Array, ""], decay: float
) -> PureTree:
    """Decay · average + (1 − decay) · new, for weights and running statistics.

    In step t the decay is at most (1 + t) / (10 + t), so that the first weights are soon
    forgotten.

    Args:
        average: from `init`.
        params: parameters after the step.
        model_state: running statistics after the step.
        step: t, steps done before this one.
        decay: below 1; the average goes over about 1 / (1 − decay) steps.
    """
    done = step.astype(jnp.float32)
    decay_now = jnp.minimum(decay, (1.0 + done) / (10.0 + done))

    def mix(old: Array, new: Array) -> Array:
        kept = decay_now.astype(old.dtype)
        return kept * old + (1 - kept) * new

    return jax.tree.map(mix, average, {"params": params, "model_state": model_state})
