"""The parts that stay the same through a run: network, objective, optimizer, compiled step."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jax.typing import DTypeLike

from fashion_jax.config import ConfigError, ExperimentConfig
from fashion_jax.datasets.sizes import training_sizes
from fashion_jax.inference.embed import Encode, make_encode
from fashion_jax.inference.preprocessing import Preprocessing, preprocessing_for
from fashion_jax.losses import Objective, ObjectiveLike
from fashion_jax.losses.partial_fc import num_columns, sampled_per_group
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model
from fashion_jax.optim.optimizer import make_optimizer
from fashion_jax.optim.schedules import make_schedule
from fashion_jax.parallel.mesh import batch_sharding, divides_over_data
from fashion_jax.training.state import TrainState, abstract_train_state, create_train_state
from fashion_jax.training.step import TrainStep, jit_train_step, make_forward, make_train_step


@dataclasses.dataclass(frozen=True)
class Learner:
    """A network that learns.

    Attributes:
        config: config of the run.
        num_identities: training identities, the classifier's width.
        mesh: devices.
        param_dtype: dtype of parameters, statistics and optimizer.
        objective: the total that a step minimises.
        optimizer: optimizer of the network.
        train_step: compiled `(state, batch) -> (state, metrics)`; the state is donated.
        encode: compiled `(variables, images) -> embeddings` for retrieval.
        abstract_state: shapes, dtypes and places of the state's arrays.
        preprocessing: size and pixel scale of images.
        embedding_width: dimensions of an embedding.
    """

    config: ExperimentConfig
    num_identities: int
    mesh: Mesh
    param_dtype: DTypeLike
    objective: ObjectiveLike
    optimizer: optax.GradientTransformation
    train_step: TrainStep
    encode: Encode
    abstract_state: TrainState
    preprocessing: Preprocessing
    embedding_width: int

    def create_train_state(self) -> TrainState:
        """The state before the first step; see the function of this name."""
        return create_train_state(
            self.config,
            self.num_identities,
            self.objective,
            self.optimizer,
            self.mesh,
            self.param_dtype,
        )


def make_learner(
    config: ExperimentConfig,
    num_identities: int,
    steps_per_epoch: int,
    mesh: Mesh,
    param_dtype: DTypeLike = jnp.float32,
    objective: ObjectiveLike | None = None,
) -> Learner:
    """Make the step and its parts; each function compiles at its first call.

    Args:
        config: config of the run.
        num_identities: training identities, the classifier's width.
        steps_per_epoch: optimizer steps in an epoch, for the learning rate's schedule.
        mesh: devices.
        param_dtype: dtype of parameters, statistics and optimizer; float64 only for tests.
        objective: the total to minimise, in place of the one that the config describes; for
            terms on top of the config's, `Objective.from_config(config, extra_terms)`.

    Raises:
        ConfigError: if the classifier's columns do not fit the mesh or the batch.
        ValueError: if the objective lacks a method of `ObjectiveLike`.
    """
    check_columns(config, num_identities, mesh)
    objective = Objective.from_config(config) if objective is None else objective
    check_objective(objective)
    optimizer = make_optimizer(config.optimizer, steps_per_epoch, config.training.epochs)
    abstract = abstract_train_state(config, num_identities, objective, optimizer, mesh, param_dtype)
    preprocessing = preprocessing_for(config)
    compute_dtype = jnp.dtype(config.model.compute_dtype)
    columns = num_columns(config.classifier, num_identities)
    embedder = nnx.eval_shape(lambda: Embedder(config.model, columns, ZeroRngs(0), param_dtype))
    graphdef, _, _ = split_model(embedder)
    step = make_train_step(
        make_forward(graphdef, preprocessing, compute_dtype),
        objective,
        optimizer,
        num_identities=num_identities,
        schedule=make_schedule(config.optimizer, steps_per_epoch, config.training.epochs),
        mesh=mesh,
        microbatches=config.training.microbatches,
        photos_per_identity=config.data.photos_per_identity,
        ema_decay=config.training.ema_decay,
        gather_embeddings=divides_over_data(abstract.params["classifier"]["kernel"].sharding.spec),
    )
    return Learner(
        config=config,
        num_identities=num_identities,
        mesh=mesh,
        param_dtype=param_dtype,
        objective=objective,
        optimizer=optimizer,
        train_step=jit_train_step(step, abstract, mesh),
        encode=make_encode(config.model, preprocessing, mesh),
        abstract_state=abstract,
        preprocessing=preprocessing,
        embedding_width=embedder.embedding_width,
    )


def abstract_batch(config: ExperimentConfig, mesh: Mesh) -> dict[str, Any]:
    """Shapes, dtypes and places of a training batch of the largest size."""
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    image = max(training_sizes(config.image), key=lambda size: size.height * size.width)
    shapes = {
        "image": ((batch, image.height, image.width, 3), jnp.uint8),
        "erased": ((batch, 4), jnp.int32),
        "identity": ((batch,), jnp.int32),
        "domain": ((batch,), jnp.int8),
        "valid": ((batch,), jnp.bool_),
    }
    if config.augment.on_device:
        shapes["crop"] = ((batch, 3), jnp.int32)
    sharding = batch_sharding(mesh)
    return {
        name: jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
        for name, (shape, dtype) in shapes.items()
    }


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
            f"classifier.sample_rate = {classifier.sample_rate} samples {sampled} identities of "
            f"each of {groups} groups (classifier.pad_classes_to_multiple), but a batch may have "
            f"{needed} in one of them; raise classifier.sample_rate"
        )


def check_objective(objective: object) -> None:
    """Refuses an object that is not an objective, such as a loss function.

    Raises:
        ValueError: naming the missing methods.
    """
    if isinstance(objective, type) or not isinstance(objective, ObjectiveLike):
        raise ValueError(
            f"objective is {objective!r}, which lacks the methods of "
            "fashion_jax.losses.ObjectiveLike: derive a class from it and pass an instance, or "
            'add a term with Objective.from_config(config, {"name": (weight, function)})'
        )
