"""Gradient checkpointing of one block (Chen et al. 2016, arXiv:1604.06174)."""

from typing import Any

from flax import nnx
from jaxtyping import Array


def run_block(block: Any, features: Array, train: bool, checkpoint: bool) -> Array:
    """Returns `block(features, train)`.

    Args:
        block: an `nnx.Module`; its running statistics are updated as usual.
        features: its input.
        train: see `Backbone`.
        checkpoint: keep only `features` for the backward pass, and compute the rest again.
    """
    if not (train and checkpoint):
        return block(features, train)
    return nnx.remat(lambda block, features: block(features, True))(block, features)
