"""The training step: pure, jitted once, the same from one CPU to a pod.

The gradient of a batch is computed at once or in microbatches.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, Key

from fashion_jax.inference.preprocessing import Preprocessing
from fashion_jax.losses import ObjectiveLike
from fashion_jax.parallel.mesh import batch_sharding, compiler_options, replicated
from fashion_jax.training import ema
from fashion_jax.training.device_augmentation import flip_and_crop
from fashion_jax.training.state import PureTree, TrainState

Batch = Mapping[str, Array]
Outputs = tuple[Array, Array]  # features [batch, features] and embedding [batch, embedding]
Forward = Callable[[PureTree, PureTree, Batch, Key[Array, ""]], tuple[Outputs, PureTree]]
# (features, embedding, batch, classifier, loss state, key) -> (total, scalars)
Loss = Callable[..., tuple[Array, dict[str, Array]]]
Metrics = dict[str, Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]

# Random erasing fills with ImageNet's mean after normalisation, as the strong baseline does.
ERASED_VALUE = (0.485, 0.456, 0.406)


def make_train_step(
    forward: Forward,
    objective: ObjectiveLike,
    optimizer: optax.GradientTransformation,
    *,
    num_identities: int,
    schedule: optax.Schedule,
    mesh: Mesh,
    microbatches: int = 1,
    photos_per_identity: int = 1,
    ema_decay: float = 0.0,
    gather_embeddings: bool = False,
) -> TrainStep:
    """Join network, objective and optimizer into `(state, batch) -> (state, metrics)`.

    The batch is global, and so are its BatchNorm statistics and the mining of pairs.

    Args:
        forward: the network with its preprocessing.
        objective: the total to minimise.
        optimizer: optimizer of the network.
        num_identities: training identities.
        schedule: learning rate by step, to be logged.
        mesh: devices.
        microbatches: parts that a batch is computed in.
        photos_per_identity: neighbouring photos that a microbatch takes together.
        ema_decay: decay of the weights' moving average; 0 for none.
        gather_embeddings: whether each device needs the embeddings of the whole batch, for the
            columns of the classifier that it holds.
    """

    def everywhere(rows: Array) -> Array:
        return jax.lax.with_sharding_constraint(rows, replicated(mesh))

    def loss(
        features: Array, embedding: Array, batch: Batch, **parts: Any
    ) -> tuple[Array, dict[str, Array]]:
        embedding = everywhere(embedding) if gather_embeddings else embedding
        return objective(features, embedding, batch, num_identities=num_identities, **parts)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        batch = {
            name: everywhere(values) if values.ndim == 1 else values
            for name, values in batch.items()
        }
        result = gradients_of_batch(forward, loss, state, batch, microbatches, photos_per_identity)
        updates, optimizer_state = optimizer.update(
            result.gradients, state.optimizer_state, state.params
        )
        params = optax.apply_updates(state.params, updates)
        average = state.average
        if average:
            average = ema.update(average, params, result.model_state, state.step, ema_decay)
        # Each device moves the centers by the rows of the whole batch. Without the barrier XLA
        # divides these rows as the loss does, and sums up all centers over the devices.
        features, known = jax.lax.optimization_barrier((everywhere(result.features), batch))
        next_state = TrainState(
            step=state.step + 1,
            params=params,
            model_state=result.model_state,
            optimizer_state=optimizer_state,
            loss_state=objective.next_state(state.loss_state, features, known, step=state.step),
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
    """Compiles the step for the mesh; its input state is donated.

    Args:
        train_step: the step.
        state: a state, or an abstract one, whose arrays lie where those of all steps are to lie.
        mesh: devices.
    """
    shardings: Any = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(
        train_step,
        in_shardings=(shardings, batch_sharding(mesh)),
        out_shardings=(shardings, replicated(mesh)),
        donate_argnums=0,
        compiler_options=compiler_options(mesh),
    )


class GradientResult(NamedTuple):
    """Gradient of a batch, and the values computed along with it.

    Attributes:
        gradients: gradient of the total by the parameters.
        scalars: losses and diagnostics.
        model_state: running statistics after the batch.
        features: features before the neck.
    """

    gradients: PureTree
    scalars: dict[str, Array]
    model_state: PureTree
    features: Float[Array, "batch features"]


def make_forward(graphdef: Any, preprocessing: Preprocessing, compute_dtype: jnp.dtype) -> Forward:
    """The network in training: `(params, model_state, batch, key) -> (outputs, model_state)`."""

    def forward(
        params: PureTree, model_state: PureTree, batch: Batch, key: Key[Array, ""]
    ) -> tuple[Outputs, PureTree]:
        model = nnx.merge(graphdef, params, model_state, copy=True)
        photos = batch["image"]
        if "crop" in batch:  # `augment.on_device`
            photos = flip_and_crop(photos, batch["crop"])
        images = preprocessing.normalise(photos, compute_dtype)
        embedding = model(erase(images, batch["erased"]), train=True, key=key)
        fresh = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        return (embedding.features, embedding.dropped), fresh

    return forward


def erase(
    images: Float[Array, "batch height width 3"], rectangles: Int[Array, "batch 4"]
) -> Float[Array, "batch height width 3"]:
    """Fill a rectangle (top, left, height, width) of each normalised photo.

    Done on the device, so that a batch travels as bytes.
    """
    _, height, width, _ = images.shape
    top, left, erased_height, erased_width = (rectangles[:, i : i + 1] for i in range(4))
    rows = jnp.arange(height, dtype=rectangles.dtype)[None, :]
    columns = jnp.arange(width, dtype=rectangles.dtype)[None, :]
    in_rows = (rows >= top) & (rows < top + erased_height)
    in_columns = (columns >= left) & (columns < left + erased_width)
    inside = in_rows[:, :, None, None] & in_columns[:, None, :, None]
    fill = jnp.asarray(ERASED_VALUE, images.dtype).reshape(1, 1, 1, 3)
    return jnp.where(inside, fill, images)


def gradients_of_batch(
    forward: Forward,
    loss: Loss,
    state: TrainState,
    batch: Batch,
    microbatches: int,
    photos_per_identity: int,
) -> GradientResult:
    """The gradient of the loss over the whole batch.

    With several microbatches the network sees one of them at a time and the loss all of them
    together: outputs are computed microbatch by microbatch, then the loss's gradient by the
    outputs, then each microbatch again, with that gradient (GradCache, Gao et al. 2021,
    arXiv:2101.06983). BatchNorm's statistics are those of a microbatch; the running ones take
    the mean over microbatches. The identities of a batch are dealt out to the microbatches in turn,
    so that each device computes a part of each microbatch, from photos that it holds.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
    if microbatches > 1:
        shape = (-1, microbatches, photos_per_identity)
        return _in_microbatches(forward, loss, state, batch, shape, key)

    def total(params: PureTree) -> tuple[Array, tuple[Any, ...]]:
        outputs, model_state = forward(params, state.model_state, batch, key)
        value, scalars = _loss_of(loss, outputs, batch, params.get("classifier"), state, key)
        return value, (scalars, model_state, outputs[0])

    gradients, found = jax.grad(total, has_aux=True)(state.params)
    return GradientResult(gradients, *found)


def _in_microbatches(
    forward: Forward,
    loss: Loss,
    state: TrainState,
    batch: Batch,
    shape: tuple[int, int, int],
    key: Key[Array, ""],
) -> GradientResult:
    parts = {name: _dealt_out(values, shape) for name, values in batch.items()}
    keys = jax.random.split(key, shape[1])

    def embed(params: PureTree, part: Batch, key: Key[Array, ""]) -> tuple[Outputs, PureTree]:
        return forward(params, state.model_state, part, key)

    outputs = jax.lax.map(lambda slot: embed(state.params, *slot)[0], (parts, keys))
    whole = jax.tree.map(lambda rows: _collected(rows, shape), outputs)

    def total(outputs: Outputs, classifier: PureTree) -> tuple[Array, dict[str, Array]]:
        return _loss_of(loss, outputs, batch, classifier, state, key)

    (by_outputs, by_classifier), scalars = jax.grad(total, (0, 1), has_aux=True)(
        whole, state.params.get("classifier")
    )
    cotangents = jax.tree.map(lambda rows: _dealt_out(rows, shape), by_outputs)

    def add(total: PureTree, slot: tuple[Any, ...]) -> tuple[PureTree, PureTree]:
        part, key, cotangent = slot
        _, pullback, model_state = jax.vjp(
            lambda params: embed(params, part, key), state.params, has_aux=True
        )
        (gradients,) = pullback(cotangent)
        return jax.tree.map(jnp.add, total, gradients), model_state

    nothing = jax.tree.map(jnp.zeros_like, state.params)
    gradients, model_states = jax.lax.scan(add, nothing, (parts, keys, cotangents))
    if by_classifier is not None:
        gradients = {**gradients, "classifier": by_classifier}
    model_state = jax.tree.map(lambda rows: jnp.mean(rows, 0), model_states)
    return GradientResult(gradients, scalars, model_state, whole[0])


def _dealt_out(values: Array, shape: tuple[int, int, int]) -> Array:
    """[batch, ...] as [microbatches, photos, ...]: runs of photos, dealt out in turn."""
    runs = values.reshape(*shape, *values.shape[1:]).swapaxes(0, 1)
    return runs.reshape(shape[1], -1, *values.shape[1:])


def _collected(values: Array, shape: tuple[int, int, int]) -> Array:
    """[microbatches, photos, ...] as [batch, ...]: the inverse of `_dealt_out`."""
    runs = values.reshape(shape[1], -1, shape[2], *values.shape[2:]).swapaxes(0, 1)
    return runs.reshape(-1, *values.shape[2:])


def _loss_of(
    loss: Loss, outputs: Outputs, batch: Batch, classifier: PureTree, state: TrainState, key: Array
) -> tuple[Array, dict[str, Array]]:
    total, scalars = loss(
        *outputs,
        batch,
        classifier=classifier,
        state=state.loss_state,
        key=jax.random.fold_in(key, 1),
    )
    return total, {**scalars, "loss/total": total}
