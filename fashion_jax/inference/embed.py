"""The compiled network: photos in, L2-normalised embeddings out."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, UInt8

from fashion_jax.config import ModelConfig
from fashion_jax.inference.normalise import l2_normalise
from fashion_jax.inference.preprocessing import Preprocessing
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model
from fashion_jax.parallel.mesh import batch_sharding, compiler_options, replicated

Variables = dict[str, Any]  # `params` and `model_state`
Encode = Callable[[Variables, Array], Array]


def embedding_function(config: ModelConfig, preprocessing: Preprocessing) -> Encode:
    """Return the pure function `(variables, photos) -> embeddings`.

    Photos are uint8 [batch, height, width, 3]; embeddings are taken after the neck, L2-normalised,
    float32 [batch, features].
    """
    graphdef, _, _ = split_model(nnx.eval_shape(lambda: Embedder(config, None, ZeroRngs(0))))
    dtype = jnp.dtype(config.compute_dtype)

    def embed(
        variables: Variables, images: UInt8[Array, "batch height width 3"]
    ) -> Float[Array, "batch features"]:
        model = nnx.merge(graphdef, variables["params"], variables["model_state"])
        embedding = model(preprocessing.normalise(images, dtype), train=False)
        return l2_normalise(embedding.neck).astype(jnp.float32)

    return embed


def make_encode(config: ModelConfig, preprocessing: Preprocessing, mesh: Mesh) -> Encode:
    """Compiles `embedding_function` for a mesh, whose data axis divides the photos."""
    return jax.jit(
        embedding_function(config, preprocessing),
        in_shardings=(None, batch_sharding(mesh)),
        out_shardings=replicated(mesh),
        compiler_options=compiler_options(mesh),
    )


def mirrored(encode: Encode) -> Encode:
    """Embeds each photo's mirror image: left and right exchanged."""
    return lambda variables, images: encode(variables, images[:, :, ::-1])


def without_classifier(params: Any, model_state: Any) -> Variables:
    """Variables for embedding: those of the network without its classifier."""
    headless = {name: values for name, values in params.items() if name != "classifier"}
    return {"params": headless, "model_state": model_state}
