"""The gradient of a batch, at once or slice by slice."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key

from fashion_jax.inference.preprocessing import Preprocessing
from fashion_jax.losses.objective import Labels, Objective, Outputs
from fashion_jax.training.erase import erase
from fashion_jax.training.state import TrainState

Batch = Mapping[str, Array]
PureTree = Any  # nested dicts of arrays
Forward = Callable[[PureTree, PureTree, Batch, Key[Array, ""]], tuple[Outputs, PureTree]]


class Found(NamedTuple):
    """What a batch says.

    Attributes:
        gradients: of the total, by the parameters.
        scalars: losses and diagnostics.
        model_state: running statistics after the batch.
        features: before the neck.
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
        return Outputs(embedding.features, embedding.dropped), fresh

    return forward


def labels_of(batch: Batch) -> Labels:
    """A batch's labels, as the losses take them."""
    domains = batch["domain"].astype(jnp.int32)
    return Labels(batch["identity"], domains, batch["valid"])


def gradients_of_batch(
    forward: Forward, objective: Objective, state: TrainState, batch: Batch, slices: int
) -> Found:
    """The gradient of the objective over the whole batch.

    With several slices the network sees one of them at a time and the objective all of them
    together: outputs are computed slice by slice, then the objective's gradient by the outputs,
    then each slice again, with that gradient (Gao et al. 2021, arXiv:2101.06983). BatchNorm's
    statistics are those of a slice; the running ones take the mean over slices.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.rng), state.step)
    if slices == 1:
        return _at_once(forward, objective, state, batch, key)
    return _sliced(forward, objective, state, batch, slices, key)


def _objective_key(key: Key[Array, ""]) -> Key[Array, ""]:
    return jax.random.fold_in(key, 1)


def _at_once(
    forward: Forward, objective: Objective, state: TrainState, batch: Batch, key: Key[Array, ""]
) -> Found:
    def loss(params: PureTree) -> tuple[Array, tuple[Any, ...]]:
        outputs, model_state = forward(params, state.model_state, batch, key)
        total, scalars = objective(
            outputs,
            labels_of(batch),
            params.get("classifier"),
            state.loss_state,
            _objective_key(key),
        )
        return total, (scalars, model_state, outputs.features)

    gradients, found = jax.grad(loss, has_aux=True)(state.params)
    return Found(gradients, *found)


def _sliced(
    forward: Forward,
    objective: Objective,
    state: TrainState,
    batch: Batch,
    slices: int,
    key: Key[Array, ""],
) -> Found:
    parts = {name: _slices_of(values, slices) for name, values in batch.items()}
    keys = jax.random.split(key, slices)

    def embed(params: PureTree, part: Batch, key: Key[Array, ""]) -> tuple[Outputs, PureTree]:
        return forward(params, state.model_state, part, key)

    outputs = jax.lax.map(lambda slot: embed(state.params, *slot)[0], (parts, keys))
    whole = jax.tree.map(lambda rows: rows.reshape(-1, *rows.shape[2:]), outputs)

    def loss(outputs: Outputs, classifier: PureTree) -> tuple[Array, dict[str, Array]]:
        return objective(
            outputs, labels_of(batch), classifier, state.loss_state, _objective_key(key)
        )

    (by_outputs, by_classifier), scalars = jax.grad(loss, (0, 1), has_aux=True)(
        whole, state.params.get("classifier")
    )
    cotangents = jax.tree.map(lambda rows: _slices_of(rows, slices), by_outputs)

    def add_slice(total: PureTree, slot: tuple[Any, ...]) -> tuple[PureTree, PureTree]:
        part, key, cotangent = slot
        _, pullback, model_state = jax.vjp(
            lambda params: embed(params, part, key), state.params, has_aux=True
        )
        (gradients,) = pullback(cotangent)
        return jax.tree.map(jnp.add, total, gradients), model_state

    nothing = jax.tree.map(jnp.zeros_like, state.params)
    gradients, model_states = jax.lax.scan(add_slice, nothing, (parts, keys, cotangents))
    if by_classifier is not None:
        gradients = {**gradients, "classifier": by_classifier}
    model_state = jax.tree.map(lambda rows: jnp.mean(rows, 0), model_states)
    return Found(gradients, scalars, model_state, whole.features)


def _slices_of(values: Array, slices: int) -> Array:
    return values.reshape(slices, -1, *values.shape[1:])
