"""Reads exports back."""

import dataclasses
import pathlib

from jax import export

from fashion_jax.errors import FashionJaxError
from fashion_jax.files import LARGEST_JSON, read_file
from fashion_jax.inference.card import ModelCard, read_card
from fashion_jax.inference.embed import Encode, Variables
from fashion_jax.inference.weights.files import read_state_dict
from fashion_jax.inference.weights.fill import fill_network
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model

CARD = "model_card.json"
STABLEHLO = "model.stablehlo"
SAFETENSORS = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class StoredExport:
    """A model that `fashion-jax export` wrote.

    Attributes:
        card: card of the model.
        encode: `(variables, photos) -> embeddings` with its own weights; for StableHLO.
        variables: weights for the network that the card describes; for safetensors.
    """

    card: ModelCard
    encode: Encode | None
    variables: Variables


def read_export(folder: pathlib.Path) -> StoredExport:
    """Read an export from a folder with a `CARD`.

    Raises:
        FashionJaxError: damaged, or without a model.
    """
    card = read_card(read_file(folder / CARD, LARGEST_JSON), str(folder / CARD))
    if (folder / STABLEHLO).is_file():
        return StoredExport(card, read_stablehlo(folder / STABLEHLO), {})
    if (folder / SAFETENSORS).is_file():
        return StoredExport(card, None, read_safetensors(folder / SAFETENSORS, card))
    raise FashionJaxError(
        f"{folder} has a {CARD}, but neither {STABLEHLO} nor {SAFETENSORS}: export again"
    )


def read_stablehlo(path: pathlib.Path) -> Encode:
    """Read a model of StableHLO as a function `(variables, photos)`; its weights are inside."""
    try:
        call = export.deserialize(bytearray(path.read_bytes())).call
    except Exception as error:  # flatbuffers raises whatever a damaged file leads it to
        raise FashionJaxError(f"{path} is damaged ({error!r}): export again") from error
    return lambda variables, images: call(images)


def read_safetensors(path: pathlib.Path, card: ModelCard) -> Variables:
    """Read weights into the network that a card describes.

    Raises:
        WeightsError: they do not fit it.
    """
    network = Embedder(card.model_config, None, ZeroRngs(0))
    fill_network(network, read_state_dict(path).tensors, str(path))
    _, params, model_state = split_model(network)
    return {"params": params, "model_state": model_state}
