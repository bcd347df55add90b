"""What is exported: photos in, embeddings out, as one pure function."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, UInt8

from fashion_jax.inference.embed import l2_normalise
from fashion_jax.inference.preprocessing import Preprocessing, preprocessing_for
from fashion_jax.inference.trained_model import TrainedModel
from fashion_jax.models.embedder import Embedder
from fashion_jax.training.state import split_model

Embed = Callable[[Array], Array]


@dataclasses.dataclass(frozen=True)
class EmbedFunction:
    """A trained model as a function of photos alone.

    Attributes:
        call: uint8 photos [batch, height, width, 3] of the model's size to float32 embeddings
            [batch, features] of length 1.
        preprocessing: its size and pixel scale.
        compute_dtype: of the backbone.
    """

    call: Embed
    preprocessing: Preprocessing
    compute_dtype: str


def embed_function(model: TrainedModel) -> EmbedFunction:
    """Closes over a trained model's weights."""
    config = model.config
    headless = nnx.eval_shape(lambda: Embedder(config.model, None, nnx.Rngs(0)))
    graphdef, _, _ = split_model(headless)
    preprocessing = preprocessing_for(config)
    dtype = jnp.dtype(config.model.compute_dtype)
    # On one device: whoever loads the export may have no more.
    variables = jax.tree.map(jnp.asarray, jax.device_get(model.variables))

    def call(photos: UInt8[Array, "batch height width 3"]) -> Float[Array, "batch features"]:
        embedder = nnx.merge(graphdef, variables["params"], variables["model_state"])
        embedding = embedder(preprocessing.normalise(photos, dtype), train=False)
        return l2_normalise(embedding.neck).astype(jnp.float32)

    return EmbedFunction(call, preprocessing, config.model.compute_dtype)
