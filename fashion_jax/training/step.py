"""The training step: pure, jitted once, the same from one CPU to a pod."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.sharding import Mesh
from jaxtyping import Array

from fashion_jax.losses.objective import Objective
from fashion_jax.parallel.compiler_options import compiler_options
from fashion_jax.parallel.mesh import batch_sharding, replicated, tree_shardings
from fashion_jax.training.average import next_average
from fashion_jax.training.gradients import Batch, Forward, gradients_of_batch, labels_of
from fashion_jax.training.state import TrainState

Metrics = dict[str, Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]


@dataclasses.dataclass(frozen=True)
class StepParts:
    """What a training step joins.

    Attributes:
        forward: the network with its preprocessing.
        objective: what is minimised.
        optimizer: of the network.
        schedule: of the learning rate, to be logged.
        center_learning_rate: of the center loss's centers.
        slices: parts that a batch is computed in.
        average_decay: of the weights' moving average; 0 for none.
    """

    forward: Forward
    objective: Objective
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule
    center_learning_rate: float
    slices: int = 1
    average_decay: float = 0.0


def make_train_step(parts: StepParts) -> TrainStep:
    """Joins model, objective and optimizer into `(state, batch) -> (state, metrics)`.

    The batch is global, and so are its BatchNorm statistics and the mining of pairs.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        found = gradients_of_batch(parts.forward, parts.objective, state, batch, parts.slices)
        updates, optimizer_state = parts.optimizer.update(
            found.gradients, state.optimizer_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        metrics = {
            **found.scalars,
            "gradients/norm": optax.tree.norm(found.gradients),
            "learning_rate": parts.schedule(state.step),
        }
        next_state = TrainState(
            step=state.step + 1,
            params=params,
            model_state=found.model_state,
            optimizer_state=optimizer_state,
            loss_state=parts.objective.next_state(
                state.loss_state,
                found.features,
                labels_of(batch),
                state.step,
                parts.center_learning_rate,
            ),
            average=_average(state, params, found.model_state, parts.average_decay),
            rng=state.rng,
        )
        return next_state, metrics

    return train_step


def _average(state: TrainState, params: Any, model_state: Any, decay: float) -> Any:
    if not state.average:
        return state.average
    return next_average(state.average, params, model_state, state.step, decay)


def jit_train_step(train_step: TrainStep, state: TrainState, mesh: Mesh) -> TrainStep:
    """Compiles the step for the mesh; the state that goes in is donated."""
    shardings = tree_shardings(state, mesh)
    return jax.jit(
        train_step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )
