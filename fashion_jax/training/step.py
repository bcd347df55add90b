"""The training step: pure, jitted once, the same from one CPU to a pod."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int

from fashion_jax.losses.center import center_gradient
from fashion_jax.losses.objective import Objective
from fashion_jax.models.preprocessing import Preprocessing
from fashion_jax.optim.optimizer import update_centers
from fashion_jax.parallel.compiler_options import compiler_options
from fashion_jax.parallel.mesh import batch_sharding, replicated, tree_shardings
from fashion_jax.training.state import TrainState

Batch = Mapping[str, Array]
Metrics = dict[str, Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]

# Random erasing fills with ImageNet's mean after normalisation, as the strong baseline does.
ERASED_VALUE = (0.485, 0.456, 0.406)


def erase(
    images: Float[Array, "batch height width 3"], rectangles: Int[Array, "batch 4"]
) -> Float[Array, "batch height width 3"]:
    """Fills a rectangle (top, left, height, width) of each normalised photo."""
    _, height, width, _ = images.shape
    top, left, erased_height, erased_width = (rectangles[:, i : i + 1] for i in range(4))
    rows = jnp.arange(height, dtype=rectangles.dtype)[None, :]
    columns = jnp.arange(width, dtype=rectangles.dtype)[None, :]
    in_rows = (rows >= top) & (rows < top + erased_height)
    in_columns = (columns >= left) & (columns < left + erased_width)
    inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    fill = jnp.asarray(ERASED_VALUE, images.dtype).reshape(1, 1, 1, 3)
    return jnp.where(inside, fill, images)


def make_train_step(
    graphdef: Any,
    preprocessing: Preprocessing,
    objective: Objective,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    center_learning_rate: float,
    compute_dtype: jnp.dtype,
) -> TrainStep:
    """Joins model, objective and optimizer into `(state, batch) -> (state, metrics)`.

    The batch is global, and so are its BatchNorm statistics and the mining of triplets.
    """

    def loss(params: Any, state: TrainState, batch: Batch) -> tuple[Array, tuple[Any, ...]]:
        model = nnx.merge(graphdef, params, state.model_state, copy=True)
        images = preprocessing.normalise(batch["image"], compute_dtype)
        key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
        embedding = model(erase(images, batch["erased"]), train=True, key=key)
        total, terms = objective(
            embedding.features, embedding.logits, batch["identity"], state.centers, batch["valid"]
        )
        model_state = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        return total, (terms, model_state, embedding.features)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        gradients, (terms, model_state, features) = jax.grad(loss, has_aux=True)(
            state.params, state, batch
        )
        updates, optimizer_state = optimizer.update(gradients, state.optimizer_state, state.params)
        centers = state.centers
        if objective.config.center_weight:
            pull = center_gradient(features, batch["identity"], centers, batch["valid"])
            centers = update_centers(centers, pull, center_learning_rate)
        metrics = {
            **terms,
            "gradients/norm": optax.tree.norm(gradients),
            "learning_rate": schedule(state.step),
        }
        next_state = TrainState(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            model_state=model_state,
            optimizer_state=optimizer_state,
            centers=centers,
            rng=state.rng,
        )
        return next_state, metrics

    return train_step


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
