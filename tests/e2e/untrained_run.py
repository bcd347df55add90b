"""A run's workdir without the run: a network whose weights were drawn, and nothing else."""

import contextlib

import jax.numpy as jnp
from flax import nnx

from fashion_jax.config import CONFIG_FILE, store_config
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.preprocessing import preprocessing_for
from fashion_jax.inference.weights.checksum import weights_hash
from fashion_jax.models.embedder import Embedder
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.learner import variables_for_encode
from fashion_jax.training.state import TrainState, split_model


def write_untrained_run(config, workdir):
    model = Embedder(config.model, 2, nnx.Rngs(0))
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
        checkpoints.save(state, {}, card_of(model, config).to_dict())
    store_config(config, workdir / CONFIG_FILE)


def card_of(model, config):
    _, params, model_state = split_model(model)
    variables = variables_for_encode(params, model_state)
    preprocessing = preprocessing_for(config)
    return ModelCard(
        backbone=config.model.backbone,
        last_stride=config.model.last_stride,
        stem_relu=config.model.stem_relu,
        pooling=config.model.pooling,
        neck=config.model.neck,
        normalisation="l2",
        metric="cosine",
        embedding_width=model.embedding_width,
        image_height=preprocessing.height,
        image_width=preprocessing.width,
        pixel_mean=preprocessing.mean,
        pixel_std=preprocessing.std,
        weights_hash=weights_hash(variables["params"], variables["model_state"]),
        dataset=config.data.dataset,
        step=0,
    )
