"""The gradient of a batch, at once or in microbatches."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from fashion_jax.inference.preprocessing import Preprocessing
from fashion_jax.training.erase import erase
from fashion_jax.training.state import TrainState

Batch = Mapping[str, Array]
PureTree = Any  # nested dicts of arrays
Outputs = tuple[Array, Array]  # features [batch, features] and embedding [batch, embedding]
Forward = Callable[[PureTree, PureTree, Batch, Key[Array, ""]], tuple[Outputs, PureTree]]
# (features, embedding, batch, classifier, loss state, key) -> (total, scalars)
Loss = Callable[..., tuple[Array, dict[str, Array]]]


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
        images = preprocessing.normalise(batch["image"], compute_dtype)
        embedding = model(erase(images, batch["erased"]), train=True, key=key)
        fresh = nnx.to_pure_dict(nnx.state(model, nnx.BatchStat))
        return (embedding.features, embedding.dropped), fresh

    return forward


def gradients_of_batch(
    forward: Forward, loss: Loss, state: TrainState, batch: Batch, microbatches: int
) -> GradientResult:
    """The gradient of the loss over the whole batch.

    With several microbatches the network sees one of them at a time and the loss all of them
    together: outputs are computed microbatch by microbatch, then the loss's gradient by the
    outputs, then each microbatch again, with that gradient (GradCache, Gao et al. 2021,
    arXiv:2101.06983). BatchNorm's statistics are those of a microbatch; the running ones take
    the mean over microbatches.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
    if microbatches == 1:
        return _at_once(forward, loss, state, batch, key)
    return _in_microbatches(forward, loss, state, batch, microbatches, key)


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


def _at_once(
    forward: Forward, loss: Loss, state: TrainState, batch: Batch, key: Key[Array, ""]
) -> GradientResult:
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
    microbatches: int,
    key: Key[Array, ""],
) -> GradientResult:
    parts = {name: _divided(values, microbatches) for name, values in batch.items()}
    keys = jax.random.split(key, microbatches)

    def embed(params: PureTree, part: Batch, key: Key[Array, ""]) -> tuple[Outputs, PureTree]:
        return forward(params, state.model_state, part, key)

    outputs = jax.lax.map(lambda slot: embed(state.params, *slot)[0], (parts, keys))
    whole = jax.tree.map(lambda rows: rows.reshape(-1, *rows.shape[2:]), outputs)

    def total(outputs: Outputs, classifier: PureTree) -> tuple[Array, dict[str, Array]]:
        return _loss_of(loss, outputs, batch, classifier, state, key)

    (by_outputs, by_classifier), scalars = jax.grad(total, (0, 1), has_aux=True)(
        whole, state.params.get("classifier")
    )
    cotangents = jax.tree.map(lambda rows: _divided(rows, microbatches), by_outputs)

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


def _divided(values: Array, parts: int) -> Array:
    return values.reshape(parts, -1, *values.shape[1:])
