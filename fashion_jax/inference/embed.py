"""Embeddings of whole splits: L2-normalised, one row a photo, in the split's order."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from jaxtyping import Array, Float, Float32, UInt8
from tqdm import tqdm

from fashion_jax.config import DataConfig, ImageConfig
from fashion_jax.datasets.dataset import Split
from fashion_jax.datasets.loader import EvaluationBatches, iterate
from fashion_jax.inference.preprocessing import Preprocessing
from fashion_jax.parallel.compiler_options import compiler_options
from fashion_jax.parallel.hosts import global_batch, this_host
from fashion_jax.parallel.mesh import batch_sharding, replicated

Variables = dict[str, Any]  # `params` and `model_state`
Encode = Callable[[Variables, Array], Array]


def make_encode(
    graphdef: Any, preprocessing: Preprocessing, compute_dtype: jnp.dtype, mesh: Mesh
) -> Encode:
    """Compiles `(variables, photos) -> embeddings`: after the neck, L2-normalised, float32.

    Args:
        graphdef: of an `Embedder` without classifier.
        preprocessing: scale of the photos.
        compute_dtype: of the backbone.
        mesh: the photos are divided over its data axis.
    """

    def encode(
        variables: Variables, images: UInt8[Array, "batch height width 3"]
    ) -> Float[Array, "batch features"]:
        model = nnx.merge(graphdef, variables["params"], variables["model_state"])
        embedding = model(preprocessing.normalise(images, compute_dtype), train=False)
        return l2_normalise(embedding.neck).astype(jnp.float32)

    shardings = (None, batch_sharding(mesh))
    return jax.jit(
        encode,
        in_shardings=shardings,
        out_shardings=replicated(mesh),
        compiler_options=compiler_options(mesh),
    )


def mirrored(encode: Encode) -> Encode:
    """The same, of each photo's mirror image: left and right exchanged."""
    return lambda variables, images: encode(variables, images[:, :, ::-1])


def l2_normalise(features: Float[Array, "batch features"]) -> Float[Array, "batch features"]:
    """Scales each row to length 1; a row of zeros stays."""
    norms = jnp.linalg.norm(features, axis=1, keepdims=True)
    return features / jnp.maximum(norms, jnp.asarray(1e-12, features.dtype))


def embed_split(
    encode: Encode,
    variables: Variables,
    split: Split,
    image: ImageConfig,
    batch_size: int,
    data: DataConfig,
    mesh: Mesh,
    progress: bool = True,
) -> Float32[np.ndarray, "photos features"]:
    """Embeds every photo of a split exactly once; each host gets all rows."""
    batches = EvaluationBatches(split, image, batch_size, this_host())
    parts = []
    bar = tqdm(
        total=len(split),
        desc=f"embed {split.name}",
        unit="photo",
        disable=not progress,
        leave=False,
    )
    with bar:
        for index, batch in enumerate(iterate(batches, data)):
            photos = min(batch_size, len(split) - index * batch_size)
            images = global_batch({"image": batch["image"]}, mesh)["image"]
            parts.append(np.asarray(encode(variables, images))[:photos])
            bar.update(photos)
    return np.concatenate(parts)
