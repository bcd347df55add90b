"""The state before the first step, made where it will lie."""

import dataclasses

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Key

from fashion_jax.config import ExperimentConfig
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.losses.class_columns import num_columns
from fashion_jax.losses.objective import Objective
from fashion_jax.models.embedder import CLASSIFIER_STD, Embedder
from fashion_jax.models.initializers import normal
from fashion_jax.models.pure import split_model
from fashion_jax.optim.optimizer import make_optimizer
from fashion_jax.parallel.mesh import tree_shardings
from fashion_jax.training.average import first_average
from fashion_jax.training.state import PureTree, TrainState, place


@dataclasses.dataclass(frozen=True)
class FirstState:
    """Makes the state of a run.

    Attributes:
        config: of the run.
        num_identities: training identities.
        steps_per_epoch: for the learning rate's schedule.
        param_dtype: of parameters, statistics and optimizer.
    """

    config: ExperimentConfig
    num_identities: int
    steps_per_epoch: int
    param_dtype: DTypeLike

    def abstract(self, mesh: Mesh) -> TrainState:
        """Shapes, dtypes and places of the state's arrays, without making them."""
        shapes = jax.eval_shape(self._whole)
        return jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            shapes,
            tree_shardings(shapes, mesh),
        )

    def make(self, mesh: Mesh) -> TrainState:
        """The state, with the pretrained weights that the config names.

        Classifier, centers and the optimizer's moments are made divided over the devices that
        share them: none has to hold them whole.

        Raises:
            WeightsError: if the weights cannot be read or do not fit.
        """
        rngs = nnx.Rngs(params=self.config.training.seed)
        model = Embedder(self.config.model, None, rngs, self.param_dtype)
        load_pretrained(model, self.config.model)
        places = jax.tree.map(lambda leaf: leaf.sharding, self.abstract(mesh))
        complete = jax.jit(self._complete, static_argnums=1, out_shardings=places)
        return complete(place(_embedder_of(model, rngs), mesh), _widths(model))

    def _whole(self) -> TrainState:
        rngs = nnx.Rngs(params=self.config.training.seed)
        model = Embedder(self.config.model, None, rngs, self.param_dtype)
        return self._complete(_embedder_of(model, rngs), _widths(model))

    def _complete(self, embedder: PureTree, widths: tuple[int, int]) -> TrainState:
        """Adds classifier, optimizer and what the losses keep."""
        config, seed = self.config, self.config.training.seed
        feature_width, embedding_width = widths
        model_state, key = embedder["model_state"], jax.random.wrap_key_data(embedder["key"])
        params = {**embedder["params"], "classifier": self._classifier(key, embedding_width)}
        loss_state = self.objective().initial_state(
            jax.random.fold_in(jax.random.key(seed), 1),
            config.data.identities_per_batch * config.data.photos_per_identity,
            feature_width,
            self.param_dtype,
        )
        averages = config.training.ema_decay > 0
        return TrainState(
            step=jnp.zeros((), jnp.int32),
            params=params,
            model_state=model_state,
            optimizer_state=self.optimizer().init(params),
            loss_state=loss_state,
            average=first_average(params, model_state) if averages else {},
            rng=jax.random.key_data(jax.random.fold_in(jax.random.key(seed), 2)),
        )

    def _classifier(self, key: Key[Array, ""], width: int) -> dict[str, Float[Array, "..."]]:
        shape = width, num_columns(self.config.classifier, self.num_identities)
        if (
            self.config.classifier.pad_classes_to_multiple > 1
        ):  # may be divided: drawn where it lies
            drawn = jax.random.normal(key, shape, jnp.float32).astype(self.param_dtype)
            kernel = drawn * jnp.asarray(CLASSIFIER_STD, self.param_dtype)
        else:
            kernel = normal(key, shape, CLASSIFIER_STD, self.param_dtype)
        if not self.config.model.classifier_bias:
            return {"kernel": kernel}
        return {"kernel": kernel, "bias": jnp.zeros(shape[1], self.param_dtype)}

    def objective(self) -> Objective:
        """What the run minimises."""
        config = self.config
        return Objective(config.loss, config.mining, config.classifier, self.num_identities)

    def optimizer(self) -> optax.GradientTransformation:
        """The network's optimizer."""
        epochs = self.config.training.epochs
        return make_optimizer(self.config.optimizer, self.steps_per_epoch, epochs)


def _embedder_of(model: Embedder, rngs: nnx.Rngs) -> PureTree:
    """An embedder's variables, and the key that comes after those that they were drawn from."""
    _, params, model_state = split_model(model)
    key = jax.random.key_data(rngs.params())
    return {"params": params, "model_state": model_state, "key": key}


def _widths(model: Embedder) -> tuple[int, int]:
    return model.feature_width, model.embedding_width
