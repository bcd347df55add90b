"""Weights under PyTorch's names, as safetensors."""

import dataclasses
import json
import pathlib

import jax
import safetensors.numpy
from flax import nnx

from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.export.embed_function import embed_function
from fashion_jax.inference.export.parity import Embed
from fashion_jax.inference.trained_model import TrainedModel
from fashion_jax.inference.weights.checksum import named_arrays
from fashion_jax.inference.weights.files import read_weights
from fashion_jax.inference.weights.fill import fill
from fashion_jax.inference.weights.naming import translate
from fashion_jax.inference.weights.namings import NAMINGS
from fashion_jax.inference.weights.torch_names import to_torch_names
from fashion_jax.models.embedder import Embedder
from fashion_jax.training.state import split_model

FILE = "model.safetensors"

USAGE = """\
from safetensors.torch import load_file

tensors = load_file("model.safetensors")
# The backbone alone, for its reference implementation (BatchNorm's counters are not there):
prefix = "backbone."
backbone = {{name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}}
# network.load_state_dict(backbone, strict=False)
# Photos: RGB, {height} x {width} pixels, (pixel - {mean}) / {std} with pixels of 0..255.
"""


def write_safetensors(model: TrainedModel, folder: pathlib.Path) -> Embed:
    """Writes the weights, with the model card in the file's metadata.

    Returns:
        What reads the file back and embeds by it.
    """
    arrays = named_arrays(model.variables["params"]) | named_arrays(model.variables["model_state"])
    tensors = to_torch_names(arrays, model.card.backbone)
    path = folder / FILE
    card = {"model_card": json.dumps(model.card.to_dict())}
    safetensors.numpy.save_file(tensors, path, metadata=card)
    path.chmod(0o644)  # the library keeps it to the user alone
    (folder / "usage.py").write_text(_usage(model.card))
    return _read_back(model, path)


def _usage(card: ModelCard) -> str:
    return USAGE.format(
        height=card.image_height, width=card.image_width, mean=card.pixel_mean, std=card.pixel_std
    )


def _read_back(model: TrainedModel, path: pathlib.Path) -> Embed:
    embedder = Embedder(model.config.model, None, nnx.Rngs(0))
    fill(embedder, translate(read_weights(path).tensors, NAMINGS).tensors, str(path))
    _, params, model_state = split_model(embedder)
    variables = {"params": params, "model_state": model_state}
    return jax.jit(embed_function(dataclasses.replace(model, variables=variables)).call)
