"""What stays the same through a run: network, objective, optimizer, and their compiled step."""

import dataclasses

import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jax.typing import DTypeLike

from fashion_jax.config import ConfigError, ExperimentConfig
from fashion_jax.inference.embed import Encode, make_encode
from fashion_jax.inference.preprocessing import Preprocessing, preprocessing_for
from fashion_jax.losses.class_columns import num_columns, sampled_per_group
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.pure import split_model
from fashion_jax.optim.schedules import make_schedule
from fashion_jax.training.first_state import FirstState
from fashion_jax.training.gradients import Forward, make_forward
from fashion_jax.training.state import TrainState
from fashion_jax.training.step import StepParts, TrainStep, jit_train_step, make_train_step


@dataclasses.dataclass(frozen=True)
class Learner:
    """A network that learns.

    Attributes:
        train_step: compiled; `(state, batch) -> (state, metrics)`, the state is donated.
        encode: compiled; embeddings for retrieval.
        abstract_state: shapes, dtypes and places of the state's arrays.
        preprocessing: of photos.
        embedding_width: dimensions of an embedding.
        first: makes the first state.
    """

    config: ExperimentConfig
    num_identities: int
    steps_per_epoch: int
    mesh: Mesh
    param_dtype: DTypeLike
    train_step: TrainStep
    encode: Encode
    abstract_state: TrainState
    preprocessing: Preprocessing
    embedding_width: int
    first: FirstState

    def first_state(self) -> TrainState:
        """The state before the first step, with the pretrained weights that the config names.

        Raises:
            WeightsError: if they cannot be read or do not fit.
        """
        return self.first.make(self.mesh)


def make_learner(
    config: ExperimentConfig,
    num_identities: int,
    steps_per_epoch: int,
    mesh: Mesh,
    param_dtype: DTypeLike = jnp.float32,
) -> Learner:
    """Compiles nothing yet: that happens at the first call of each function.

    Args:
        config: of the run.
        num_identities: training identities, the classifier's width.
        steps_per_epoch: for the learning rate's schedule.
        mesh: devices.
        param_dtype: of parameters, statistics and optimizer; float64 only for tests.

    Raises:
        ConfigError: if the classifier's columns do not fit the mesh or the batch.
    """
    check_columns(config, num_identities, mesh)
    first = FirstState(config, num_identities, steps_per_epoch, param_dtype)
    abstract = first.abstract(mesh)
    graphdef, _, _ = split_model(_abstract_model(config, num_identities, param_dtype))
    preprocessing = preprocessing_for(config)
    compute_dtype = jnp.dtype(config.model.compute_dtype)
    forward = make_forward(graphdef, preprocessing, compute_dtype)
    step = make_train_step(_step_parts(first, forward))
    embedder = _abstract_model(config, None, param_dtype)
    return Learner(
        config=config,
        num_identities=num_identities,
        steps_per_epoch=steps_per_epoch,
        mesh=mesh,
        param_dtype=param_dtype,
        train_step=jit_train_step(step, abstract, mesh),
        encode=make_encode(config.model, preprocessing, mesh),
        abstract_state=abstract,
        preprocessing=preprocessing,
        embedding_width=embedder.embedding_width,
        first=first,
    )


def check_columns(config: ExperimentConfig, num_identities: int, mesh: Mesh) -> None:
    """Refuses columns that devices cannot share, or samples without room for the batch.

    Raises:
        ConfigError: saying which field to change.
    """
    classifier, devices = config.classifier, mesh.shape["model"]
    columns = num_columns(classifier, num_identities)
    if columns % devices:
        raise ConfigError(
            f"the classifier has {columns} columns, which mesh.model = {devices} devices cannot "
            f"share evenly; set classifier.pad_classes_to_multiple to a multiple of {devices}"
        )
    sampled = sampled_per_group(classifier, num_identities)
    groups = classifier.pad_classes_to_multiple
    needed = min(config.data.identities_per_batch, num_identities // groups)
    if sampled < needed:
        raise ConfigError(
            f"classifier.sample_rate = {classifier.sample_rate} looks at {sampled} identities "
            f"of each of {groups} groups (classifier.pad_classes_to_multiple), but a batch "
            f"may have {needed} in one of them; raise classifier.sample_rate"
        )


def _step_parts(first: FirstState, forward: Forward) -> StepParts:
    config = first.config
    return StepParts(
        forward=forward,
        objective=first.objective(),
        optimizer=first.optimizer(),
        schedule=make_schedule(config.optimizer, first.steps_per_epoch, config.training.epochs),
        center_learning_rate=config.optimizer.center_learning_rate,
        slices=config.training.microbatches,
        average_decay=config.training.ema_decay,
    )


def _abstract_model(
    config: ExperimentConfig, num_identities: int | None, param_dtype: DTypeLike
) -> Embedder:
    columns = None
    if num_identities is not None:
        columns = num_columns(config.classifier, num_identities)
    return nnx.eval_shape(lambda: Embedder(config.model, columns, nnx.Rngs(0), param_dtype))
