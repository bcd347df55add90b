"""The training step: pure, jitted once, the same from one CPU to a pod."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from fashion_jax.losses import ObjectiveLike
from fashion_jax.parallel.compiler_options import compiler_options
from fashion_jax.parallel.mesh import batch_sharding, replicated, tree_shardings
from fashion_jax.training import ema
from fashion_jax.training.gradients import Batch, Forward, gradients_of_batch
from fashion_jax.training.state import TrainState

Metrics = dict[str, Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


def make_train_step(
    forward: Forward,
    objective: ObjectiveLike,
    optimizer: optax.GradientTransformation,
    *,
    num_identities: int,
    schedule: optax.Schedule,
    microbatches: int = 1,
    ema_decay: float = 0.0,
) -> TrainStep:
    """Join network, objective and optimizer into `(state, batch) -> (state, metrics)`.

    The batch is global, and so are its BatchNorm statistics and the mining of pairs.

    Args:
        forward: the network with its preprocessing.
        objective: the total to minimise.
        optimizer: optimizer of the network.
        num_identities: training identities.
        schedule: learning rate by step, to be logged.
        microbatches: parts that a batch is computed in.
        ema_decay: decay of the weights' moving average; 0 for none.
    """
    loss = functools.partial(objective, num_identities=num_identities)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        result = gradients_of_batch(forward, loss, state, batch, microbatches)
        updates, optimizer_state = optimizer.update(
            result.gradients, state.optimizer_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average:
            average = ema.update(average, params, result.model_state, state.step, ema_decay)
        next_state = TrainState(
            step=state.step + 1,
            params=params,
            model_state=result.model_state,
            optimizer_state=optimizer_state,
            loss_state=objective.next_state(
                state.loss_state, result.features, batch, step=state.step
            ),
            average=average,
            rng=state.rng,
        )
        metrics = {
            **result.scalars,
            "gradients/norm": optax.tree.norm(result.gradients),
            "learning_rate": schedule(state.step),
        }
        return next_state, metrics

    return train_step


def jit_train_step(train_step: TrainStep, state: TrainState, mesh: Mesh) -> TrainStep:
    """Compiles the step for the mesh; its input state is donated."""
    shardings: Any = tree_shardings(state, mesh)
    return jax.jit(
        train_step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )
