"""A run's workdir without the run: a network whose weights were drawn, and nothing else."""

import contextlib

import jax.numpy as jnp
from flax import nnx

from fashion_jax.config import CONFIG_FILE, store_config
from fashion_jax.inference.card import make_card
from fashion_jax.inference.embed import without_classifier
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.pure import split_model
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.state import TrainState


def write_untrained_run(config, workdir, seed=0):
    model = Embedder(config.model, 2, nnx.Rngs(seed))
    _, params, model_state = split_model(model)
    state = TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        optimizer_state={},
        loss_state={},
        average={},
        rng=jnp.zeros((2,), jnp.uint32),
    )
    with contextlib.closing(Checkpoints(workdir / "checkpoints")) as checkpoints:
        variables = without_classifier(params, model_state)
        card = make_card(config, model.embedding_width, variables, dataset=config.data.dataset)
        checkpoints.save(state, {}, card)
    store_config(config, workdir / CONFIG_FILE)
