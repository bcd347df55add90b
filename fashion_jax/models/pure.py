"""A module as pure trees of arrays, as jitted functions take them.

The random streams of an `nnx.Module` with `nnx.Dropout` are state that every draw changes. Here
they are removed when the network is made, and each forward pass seeds new ones from the step's key.
States and checkpoints hold only parameters and statistics.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Key

from fashion_jax.errors import FashionJaxError

PureTree = Any  # nested dicts of arrays

# Folded into a step's key; 1 is the objective's, and the key itself that of the embedder's dropout.
FIRST_STREAM = 2

Network = TypeVar("Network", bound=nnx.Module)


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


def without_streams(network: Network) -> Network:
    """The network without the state of its random streams; a copy if it has any."""
    if not _streams(network):
        return network
    network = nnx.clone(network)  # streams may be shared with the maker of further layers
    for stream in _streams(network):
        _clear(stream)
    return network


@contextmanager
def seeded_streams(network: nnx.Module, train: bool, key: Key[Array, ""] | None) -> Iterator[None]:
    """Within it the streams draw from the key, and layers with a mode are in the right one.

    Args:
        network: from `without_streams`.
        train: mode of layers such as `nnx.Dropout` and `nnx.BatchNorm`. Without it a layer that
            draws all the same draws the same numbers each time.
        key: another one each step; needed in training if the network has streams.

    Raises:
        ValueError: if the key is missing.
    """
    if train:
        network.train()
    else:
        network.eval()
    streams = _streams(network)
    if streams and train and key is None:
        raise ValueError("the backbone draws random numbers in training, which need a key")
    for number, stream in enumerate(streams, start=FIRST_STREAM):
        seed = key if train and key is not None else jax.random.key(0)
        stream.key = nnx.RngKey(jax.random.fold_in(seed, number), tag=stream.tag)
        stream.count = nnx.RngCount(jnp.zeros((), jnp.uint32), tag=stream.tag)
    try:
        yield
    finally:
        for stream in streams:
            _clear(stream)


def _streams(network: nnx.Module) -> list[nnx.RngStream]:
    return [node for _, node in nnx.iter_graph(network) if isinstance(node, nnx.RngStream)]


def _clear(stream: nnx.RngStream) -> None:
    stream.key = stream.count = None  # type: ignore[assignment]
