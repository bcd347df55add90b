"""A trained model out of a run's workdir, ready to embed photos."""

import dataclasses
import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh

from fashion_jax.config import CONFIG_FILE, ExperimentConfig, MeshConfig, read_stored_config
from fashion_jax.errors import FashionJaxError
from fashion_jax.model_card import ModelCard
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.host_memory import keep_freed_memory
from fashion_jax.models.preprocessing import preprocessing_for
from fashion_jax.models.weights.checksum import weights_hash
from fashion_jax.models.weights.pretrained import load_pretrained
from fashion_jax.parallel.mesh import make_mesh, replicated
from fashion_jax.retrieval.embed import Encode, Variables, make_encode
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.learner import variables_for_encode
from fashion_jax.training.state import split_model


@dataclasses.dataclass(frozen=True)
class TrainedModel:
    """A model that embeds photos.

    Attributes:
        config: of the run.
        card: what the model is; whatever is compared with its embeddings needs the same.
        encode: compiled `(variables, photos) -> embeddings`.
        variables: its weights.
        mesh: devices it runs on.
    """

    config: ExperimentConfig
    card: ModelCard
    encode: Encode
    variables: Variables
    mesh: Mesh


def read_run_config(workdir: str | pathlib.Path) -> ExperimentConfig:
    """The resolved config of a run.

    Raises:
        FashionJaxError: if the folder is not a run's workdir.
    """
    path = pathlib.Path(workdir) / CONFIG_FILE
    if not path.is_file():
        raise FashionJaxError(
            f"no run in {pathlib.Path(workdir).resolve()}: looked for {CONFIG_FILE}. "
            "Give the --workdir of `fashion-jax train`."
        )
    return read_stored_config(path)


def load_trained_model(workdir: str | pathlib.Path, mesh: Mesh | None = None) -> TrainedModel:
    """Reads the checkpoint with the best validation mAP.

    Args:
        workdir: of the run.
        mesh: devices that the model will run on; all of the job's if `None`.

    Raises:
        FashionJaxError: if there is no run, or no checkpoint in it.
    """
    keep_freed_memory()
    config = read_run_config(workdir)
    mesh = mesh or make_mesh(MeshConfig())
    checkpoints = Checkpoints(pathlib.Path(workdir) / "checkpoints", read_only=True)
    step = checkpoints.best_step()
    card = ModelCard.from_json(json.dumps(checkpoints.restore_card(step)))
    model = checkpoints.restore_model(step, replicated(mesh))
    checkpoints.close()
    variables = variables_for_encode(model["params"], model["model_state"])
    _check_hash(variables, card, workdir)
    return TrainedModel(config, card, _encode(config, mesh), variables, mesh)


def untrained_variables(config: ExperimentConfig, mesh: Mesh) -> Variables:
    """The weights that the run started from, for comparison."""
    model = _headless(config)
    load_pretrained(model, config.model)
    _, params, model_state = split_model(model)
    return jax.device_put({"params": params, "model_state": model_state}, replicated(mesh))


def _check_hash(variables: Variables, card: ModelCard, workdir: str | pathlib.Path) -> None:
    found = weights_hash(variables["params"], variables["model_state"])
    if found != card.weights_hash:
        raise FashionJaxError(
            f"the checkpoint of step {card.step} in {workdir} is damaged: its weights have the "
            f"hash {found[:12]}, its model card says {card.weights_hash[:12]}"
        )


def _encode(config: ExperimentConfig, mesh: Mesh) -> Encode:
    graphdef, _, _ = split_model(nnx.eval_shape(lambda: _headless(config)))
    preprocessing = preprocessing_for(config)
    return make_encode(graphdef, preprocessing, jnp.dtype(config.model.compute_dtype), mesh)


def _headless(config: ExperimentConfig) -> Any:
    seed = config.training.seed
    return Embedder(config.model, None, nnx.Rngs(seed, params=seed))
