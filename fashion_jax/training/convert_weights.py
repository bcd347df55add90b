"""Makes a run's workdir of another framework's whole model, so that every command works on it."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from contextlib import closing
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx

from fashion_jax.addresses import require_local
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
from fashion_jax.inference.card import make_card
from fashion_jax.inference.embed import without_classifier
from fashion_jax.inference.weights.files import read_state_dict
from fashion_jax.inference.weights.fill import fill_network, require_fit
from fashion_jax.inference.weights.origin import file_origin
from fashion_jax.inference.weights.weight_map import ConvertedStateDict
from fashion_jax.inference.weights.whole_model import model_config_of, num_identities
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model
from fashion_jax.retrieval import storage
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.checks import check_room
from fashion_jax.training.state import TrainState

MODEL_SECTION = "model."


@dataclasses.dataclass(frozen=True)
class ConvertedModel:
    """A run's directory made from another framework's model.

    Attributes:
        workdir: the directory.
        framework: framework whose names the tensors have.
        used: tensors taken.
        ignored: tensors ignored by rule.
        config: config of the model.
    """

    workdir: str
    framework: str
    used: int
    ignored: int
    config: ExperimentConfig

    def to_table(self) -> str:
        """A few lines for people."""
        image = f"{self.config.image.height} × {self.config.image.width} pixels"
        return (
            f"names of {self.framework}; {self.used} tensors used, {self.ignored} ignored by rule\n"
            f"model: {json.dumps(dataclasses.asdict(self.config.model), indent=2)}\n"
            f"photos of {image}. What the file does not say (size, strides, stem, pixel scale) has "
            f"the framework's default: compare it with how the model was trained.\n"
            f"written to {self.workdir}; try: fashion-jax evaluate --workdir={self.workdir} "
            f"--dataset=... --data_dir=..."
        )


def convert_weights(
    path: str | pathlib.Path, workdir: str | pathlib.Path, overrides: Mapping[str, str]
) -> ConvertedModel:
    """Write `config.json` and a checkpoint with a whole model's weights and model card.

    Args:
        path: a file of any framework in docs/weights.md.
        workdir: new, or empty.
        overrides: config fields by name, such as `{"image.height": "320"}`; of the model's fields
            only those that the file does not tell.

    Raises:
        FashionJaxError: the file cannot be read or does not fit, or the workdir is not empty.
    """
    require_local(workdir, "--workdir")
    path, workdir = pathlib.Path(path), pathlib.Path(workdir)
    _require_empty(workdir)
    translation = read_state_dict(path)
    config = _config(translation, overrides)
    identities = num_identities(translation.tensors)
    make = partial(Embedder, config.model, identities, ZeroRngs(0))
    # Before any memory is taken: a classifier of one column may claim any number of rows.
    require_fit(nnx.eval_shape(make), translation.tensors, str(path))
    model = make()
    fill_network(model, translation.tensors, str(path))
    state = _state(model)
    card = make_card(
        config,
        model.embedding_width,
        without_classifier(state.params, state.model_state),
        dataset=f"unknown: converted from {path.name}",
        origin=file_origin(path),
    )
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    with storage.staged(workdir) as staging:
        check_room(staging.parent, size)
        with closing(Checkpoints(staging / "checkpoints")) as checkpoints:
            checkpoints.save(state, {}, card)
        store_config(config, staging / CONFIG_FILE)
        storage.install_new(staging, workdir)
    used, ignored = len(translation.tensors), len(translation.ignored)
    return ConvertedModel(str(workdir), translation.framework, used, ignored, config)


def _require_empty(workdir: pathlib.Path) -> None:
    if workdir.exists() and any(workdir.iterdir()):
        raise FashionJaxError(
            f"{workdir.resolve()} is not empty; give a new --workdir for the converted model"
        )


def _config(translation: ConvertedStateDict, overrides: Mapping[str, str]) -> ExperimentConfig:
    """The defaults, then the file's settings of the model, then the overrides."""
    editable = default_config()
    set_fields(editable, overrides)
    asked = [name.removeprefix(MODEL_SECTION) for name in overrides if name.startswith("model.")]
    given = {name: editable.model[name] for name in asked}
    values = to_nested_dict(from_nested_dict(editable.to_dict()))
    values["model"] = dataclasses.asdict(model_config_of(translation, given))
    return from_nested_dict(values)


def _state(model: Embedder) -> TrainState:
    """A state without optimizer: it embeds, but training cannot resume from it."""
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
