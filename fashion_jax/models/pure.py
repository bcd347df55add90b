"""A module as pure trees of arrays, as jitted functions take them."""

from typing import Any

from flax import nnx

from fashion_jax.errors import FashionJaxError

PureTree = Any  # nested dicts of arrays


def split_model(model: nnx.Module) -> tuple[Any, PureTree, PureTree]:
    """A module's structure, its parameters and its running statistics as pure trees.

    Raises:
        FashionJaxError: if the module keeps variables of another type.
    """
    graphdef, state = nnx.split(model)
    params, model_state, others = nnx.split_state(state, nnx.Param, nnx.BatchStat, ...)
    unknown = [
        f"{'.'.join(map(str, path))} ({type(variable).__name__})"
        for path, variable in nnx.to_flat_state(others)
    ]
    if unknown:
        raise FashionJaxError(
            f"the network has variables of types unknown to training: {', '.join(unknown)}; "
            "make them nnx.Param (trained) or nnx.BatchStat (updated by the forward pass)"
        )
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(model_state)
