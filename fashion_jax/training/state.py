"""Everything that a training step changes."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh

from fashion_jax.parallel.mesh import tree_shardings

PureTree = Any  # nested dicts of arrays
Leaf = Any  # an array; in an abstract state its shape, dtype and place


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """One pytree; a step takes it (donated) and returns the next one.

    Attributes:
        step: steps done, int32.
        params: trained parameters.
        model_state: running statistics of the BatchNorms.
        optimizer_state: of Optax.
        centers: of the center loss, [identities, features].
        rng: raw key of the run, uint32 [2]; whatever draws on the device folds the step into it.
    """

    step: Leaf
    params: PureTree
    model_state: PureTree
    optimizer_state: PureTree
    centers: Leaf
    rng: Leaf


def split_model(model: nnx.Module) -> tuple[Any, PureTree, PureTree]:
    """A module's structure, its parameters and its running statistics as pure trees."""
    graphdef, state = nnx.split(model)
    params, model_state = nnx.split_state(state, nnx.Param, nnx.BatchStat)
    return graphdef, nnx.to_pure_dict(params), nnx.to_pure_dict(model_state)


def initial_state(
    params: PureTree,
    model_state: PureTree,
    optimizer: optax.GradientTransformation,
    num_identities: int,
    embedding_width: int,
    seed: int,
) -> TrainState:
    """The state before the first step; centers are drawn from N(0, 1)."""
    key = jax.random.key(seed)
    dtype = jax.tree.leaves(params)[0].dtype
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        optimizer_state=optimizer.init(params),
        centers=jax.random.normal(
            jax.random.fold_in(key, 1), (num_identities, embedding_width), dtype
        ),
        rng=jax.random.key_data(jax.random.fold_in(key, 2)),
    )


def place(tree: Any, mesh: Mesh) -> Any:
    """Lays a tree's arrays onto the mesh by rule."""
    return jax.device_put(tree, tree_shardings(tree, mesh))
