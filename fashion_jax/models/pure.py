"""A module as pure trees of arrays, as jitted functions take them."""

from typing import Any

from flax import nnx

PureTree = Any  # nested dicts of arrays


def split_model(model: nnx.Module) -> tuple[Any, PureTree, PureTree]:
    """A module's structure, its parameters and its running statistics as pure trees."""
    graphdef, state = nnx.split(model)
    params, model_state = nnx.split_state(state, nnx.Param, nnx.BatchStat)
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(model_state)
