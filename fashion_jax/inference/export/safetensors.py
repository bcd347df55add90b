"""Weights under PyTorch's names, as safetensors."""

import json
import pathlib

import jax
import safetensors.numpy

from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.embed import embedding_function
from fashion_jax.inference.export.parity import Embed
from fashion_jax.inference.export.stored import SAFETENSORS, read_safetensors
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.inference.weights.checksum import named_arrays
from fashion_jax.inference.weights.torch_names import to_torch_names

USAGE = """\
from safetensors.torch import load_file

tensors = load_file("model.safetensors")
# The backbone alone, for its reference implementation (BatchNorm's counters are not there):
prefix = "backbone."
backbone = {{name[len(prefix):]: t for name, t in tensors.items() if name.startswith(prefix)}}
# network.load_state_dict(backbone, strict=False)
# Photos: RGB, {height} x {width} pixels, (pixel - {mean}) / {std} with pixels of 0..255.
"""


def write_safetensors(model: EmbeddingModel, folder: pathlib.Path) -> Embed:
    """Write the weights, with the model card in the file's metadata.

    Returns:
        A function that reads the file back and embeds with it.
    """
    arrays = named_arrays(model.variables["params"]) | named_arrays(model.variables["model_state"])
    tensors = to_torch_names(arrays, model.card.backbone)
    path = folder / SAFETENSORS
    card = {"model_card": json.dumps(model.card.to_dict())}
    safetensors.numpy.save_file(tensors, path, metadata=card)
    path.chmod(0o644)  # the library keeps it to the user alone
    (folder / "usage.py").write_text(_usage(model.card))
    variables = read_safetensors(path, model.card)
    embed = embedding_function(model.config.model, model.card.preprocessing)
    return jax.jit(lambda photos: embed(variables, photos))


def _usage(card: ModelCard) -> str:
    return USAGE.format(
        height=card.image_height, width=card.image_width, mean=card.pixel_mean, std=card.pixel_std
    )
