"""Gradient checkpointing (Chen et al. 2016, arXiv:1604.06174)."""

from collections.abc import Iterable
from typing import Any

from flax import nnx
from jaxtyping import Array


def run_blocks(blocks: Iterable[Any], features: Array, train: bool, checkpoint: bool) -> Array:
    """Run blocks one after the other.

    Args:
        blocks: modules called as `block(features, train)`; their running statistics are updated
            as usual.
        features: input of the first block.
        train: see `Backbone`.
        checkpoint: keep only each block's input for the backward pass, and compute the rest again.
    """
    for block in blocks:
        if train and checkpoint:
            features = nnx.remat(lambda block, features: block(features, True))(block, features)
        else:
            features = block(features, train)
    return features
