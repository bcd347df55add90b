"""The state that a training step changes, created in its final placement."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from fashion_jax.config import ExperimentConfig
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.losses import ObjectiveLike
from fashion_jax.losses.partial_fc import num_columns
from fashion_jax.models.embedder import CLASSIFIER_STD, Embedder
from fashion_jax.models.numerics import ZeroRngs, normal
from fashion_jax.models.pure import split_model
from fashion_jax.parallel.mesh import shard_tree, tree_shardings
from fashion_jax.training import ema

PureTree = Any  # nested dicts of arrays
Leaf = Any  # array; in an abstract state its shape, dtype and place


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, repr=False)
class TrainState:
    """One pytree; a step takes it (donated) and returns the next one.

    Attributes:
        step: steps done, int32.
        params: trained parameters.
        model_state: running statistics of the BatchNorms.
        optimizer_state: state of the Optax optimizer.
        loss_state: state of the objective, such as `centers` [identities, features] and `memory`.
        average: moving average of `params` and `model_state`; empty without one.
        rng: raw key of the run, uint32 [2]; each user on the device folds the step into it.
    """

    step: Leaf
    params: PureTree
    model_state: PureTree
    optimizer_state: PureTree
    loss_state: PureTree
    average: PureTree
    rng: Leaf

    def __repr__(self) -> str:
        """Name the step and the size; the arrays would fill thousands of lines."""
        count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(self.params))
        return f"{type(self).__name__}(step={self.step}, {count:,} parameters)"

    @property
    def embedding_params(self) -> PureTree:
        """The parameters to embed with: their average, if there is one."""
        return self.average["params"] if self.average else self.params

    @property
    def embedding_model_state(self) -> PureTree:
        """The running statistics that belong to `embedding_params`."""
        return self.average["model_state"] if self.average else self.model_state


def create_train_state(
    config: ExperimentConfig,
    num_identities: int,
    objective: ObjectiveLike,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    param_dtype: DTypeLike = jnp.float32,
) -> TrainState:
    """Make the state, with the pretrained weights that the config names.

    Classifier, centers and the optimizer's moments are made divided over the devices that share
    them: none has to hold them whole.

    Args:
        config: config of the run.
        num_identities: training identities, the classifier's width.
        objective: the total to minimise, for its state.
        optimizer: optimizer of the network, for its state.
        mesh: devices.
        param_dtype: dtype of parameters, statistics and optimizer.

    Raises:
        WeightsError: if the weights cannot be read or do not fit.
    """
    parts = config, num_identities, objective, optimizer
    places = jax.tree.map(
        lambda leaf: leaf.sharding, abstract_train_state(*parts, mesh, param_dtype)
    )
    widths, embedder = _embedder(config, param_dtype)
    complete = functools.partial(_complete, *parts, param_dtype, widths)
    return jax.jit(complete, out_shardings=places)(shard_tree(embedder, mesh, config.mesh.fsdp))


def abstract_train_state(
    config: ExperimentConfig,
    num_identities: int,
    objective: ObjectiveLike,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    param_dtype: DTypeLike = jnp.float32,
) -> TrainState:
    """Shapes, dtypes and places of the arrays of `create_train_state`, without making them."""

    def make() -> TrainState:
        widths, embedder = _embedder(config, param_dtype, shapes_alone=True)
        parts = config, num_identities, objective, optimizer, param_dtype
        return _complete(*parts, widths, embedder)

    shapes = jax.eval_shape(make)
    return jax.tree.map(
        lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        shapes,
        tree_shardings(shapes, mesh, config.mesh.fsdp),
    )


def _embedder(
    config: ExperimentConfig, param_dtype: DTypeLike, *, shapes_alone: bool = False
) -> tuple[tuple[int, int], PureTree]:
    """Widths of feature and embedding, the variables, and the key after those that drew them."""
    seed = config.training.seed
    # Streams other than `params` are for a backbone that draws in training, such as dropout.
    rngs = (ZeroRngs if shapes_alone else nnx.Rngs)(seed, params=seed)
    model = Embedder(config.model, None, rngs, param_dtype)
    if not shapes_alone:
        load_pretrained(model, config.model)
    _, params, model_state = split_model(model)
    key = jax.random.key_data(rngs.params())
    widths = model.backbone.width, model.embedding_width
    return widths, {"params": params, "model_state": model_state, "key": key}


def _complete(
    config: ExperimentConfig,
    num_identities: int,
    objective: ObjectiveLike,
    optimizer: optax.GradientTransformation,
    param_dtype: DTypeLike,
    widths: tuple[int, int],
    embedder: PureTree,
) -> TrainState:
    """Add classifier, optimizer and the objective's state."""
    key = jax.random.key(config.training.seed)
    feature_width, embedding_width = widths
    classifier = _classifier(
        config,
        (embedding_width, num_columns(config.classifier, num_identities)),
        jax.random.wrap_key_data(embedder["key"]),
        param_dtype,
    )
    params = {**embedder["params"], "classifier": classifier}
    model_state = embedder["model_state"]
    loss_state = objective.initial_state(
        jax.random.fold_in(key, 1),
        batch_size=config.data.identities_per_batch * config.data.photos_per_identity,
        feature_width=feature_width,
        num_identities=num_identities,
        dtype=param_dtype,
    )
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        optimizer_state=optimizer.init(params),
        loss_state=loss_state,
        average=ema.init(params, model_state) if config.training.ema_decay > 0 else {},
        rng=jax.random.key_data(jax.random.fold_in(key, 2)),
    )


def _classifier(
    config: ExperimentConfig, shape: tuple[int, int], key: Key[Array, ""], param_dtype: DTypeLike
) -> dict[str, Float[Array, "..."]]:
    if config.classifier.pad_classes_to_multiple > 1:  # may be divided: drawn where it lies
        drawn = jax.random.normal(key, shape, jnp.float32).astype(param_dtype)
        kernel = drawn * jnp.asarray(CLASSIFIER_STD, param_dtype)
    else:
        kernel = normal(key, shape, CLASSIFIER_STD, param_dtype)
    if not config.model.classifier_bias:
        return {"kernel": kernel}
    return {"kernel": kernel, "bias": jnp.zeros(shape[1], param_dtype)}
