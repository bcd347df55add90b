"""Makes a run's workdir of another framework's whole model, so that every command works on it."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from contextlib import closing

import jax.numpy as jnp
from flax import nnx

from fashion_jax.config import (
    CONFIG_FILE,
    ExperimentConfig,
    default_config,
    from_nested_dict,
    set_fields,
    store_config,
    to_nested_dict,
)
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.preprocessing import preprocessing_for
from fashion_jax.inference.weights.checksum import weights_hash
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.fill import fill
from fashion_jax.inference.weights.naming import Translation, translate
from fashion_jax.inference.weights.namings import NAMINGS
from fashion_jax.inference.weights.origin import file_origin
from fashion_jax.inference.weights.whole_model import model_config_of, num_identities
from fashion_jax.models.embedder import Embedder
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.learner import variables_for_encode
from fashion_jax.training.state import TrainState, split_model

MODEL_SECTION = "model."


def convert_weights(
    path: str | pathlib.Path, workdir: str | pathlib.Path, overrides: Mapping[str, str]
) -> str:
    """Writes `config.json` and a checkpoint with a whole model's weights and model card.

    Args:
        path: a file of any framework in docs/weights.md.
        workdir: new, or empty.
        overrides: of the config, such as `{"image.height": "320"}`; of the model's fields those
            that the file does not tell.

    Returns:
        What was taken from where, for people.

    Raises:
        FashionJaxError: the file cannot be read or does not fit, or the workdir is not empty.
    """
    path, workdir = pathlib.Path(path), pathlib.Path(workdir)
    _require_empty(workdir)
    translation = translate(read_weights(path).tensors, NAMINGS)
    config = _config(translation, overrides)
    model = Embedder(config.model, num_identities(translation.tensors), nnx.Rngs(0))
    fill(model, translation.tensors, str(path))
    card = _card(model, config, path)
    workdir.mkdir(parents=True, exist_ok=True)
    with closing(Checkpoints(workdir / "checkpoints")) as checkpoints:
        checkpoints.save(_state(model), {}, card.to_dict())
    store_config(config, workdir / CONFIG_FILE)  # last: without it the folder is no run's
    return _summary(translation, config, workdir)


def _require_empty(workdir: pathlib.Path) -> None:
    if workdir.exists() and any(workdir.iterdir()):
        raise FashionJaxError(
            f"{workdir.resolve()} is not empty; give a new --workdir for the converted model"
        )


def _config(translation: Translation, overrides: Mapping[str, str]) -> ExperimentConfig:
    """The defaults, what the file tells about the model, and what is asked for."""
    editable = default_config()
    set_fields(editable, overrides)
    asked = [name.removeprefix(MODEL_SECTION) for name in overrides if name.startswith("model.")]
    given = {name: editable.model[name] for name in asked}
    values = to_nested_dict(from_nested_dict(editable.to_dict()))
    values["model"] = dataclasses.asdict(model_config_of(translation, given))
    return from_nested_dict(values)


def _state(model: Embedder) -> TrainState:
    """A state without optimizer: it embeds, but training cannot go on from it."""
    _, params, model_state = split_model(model)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        model_state=model_state,
        optimizer_state={},
        loss_state={},
        average={},
        rng=jnp.zeros((2,), jnp.uint32),
    )


def _card(model: Embedder, config: ExperimentConfig, path: pathlib.Path) -> ModelCard:
    _, params, model_state = split_model(model)
    variables = variables_for_encode(params, model_state)
    preprocessing = preprocessing_for(config)
    origin = file_origin(path)
    return ModelCard(
        backbone=config.model.backbone,
        last_stride=config.model.last_stride,
        stem_relu=config.model.stem_relu,
        stem_pool=config.model.stem_pool,
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
        dataset=f"unknown: converted from {path.name}",
        step=0,
        gem_power=config.model.gem_power,
        pretrained=origin.name,
        pretrained_sha256=origin.sha256,
    )


def _summary(translation: Translation, config: ExperimentConfig, workdir: pathlib.Path) -> str:
    model = json.dumps(dataclasses.asdict(config.model), indent=2)
    image = f"{config.image.height} × {config.image.width} pixels"
    return (
        f"names of {translation.naming}; {len(translation.tensors)} tensors used, "
        f"{len(translation.ignored)} ignored by rule\nmodel: {model}\n"
        f"photos of {image}. What the file does not tell (size, last_stride, stem_relu, "
        f"stem_pool, pixel scale) is the framework's default: compare it with how the model was "
        f"trained.\nwritten to {workdir}; try: fashion-jax evaluate --workdir={workdir} "
        "--dataset=... --data_dir=..."
    )
