import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.models.embedder import Embedder


def golden_weight(name: str, shape: list[int]) -> np.ndarray:
    """By the formula in goldens/README.md."""
    seed = zlib.crc32(name.encode()) & 0x7FFFFFFF
    values = np.random.RandomState(seed).standard_normal(shape)
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if name.endswith("running_var"):
        values = 1 + 0.1 * np.abs(values)
    elif name.endswith(("running_mean", "bias")):
        values = 0.1 * values
    elif len(shape) == 1:
        values = 1 + 0.1 * values
    else:
        values = values / np.sqrt(np.prod(shape[1:]))
    return values.astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "stem_relu"),
    [("resnet18", False), ("resnet50", False), ("resnet50_ibn_a", True), ("osnet_x0_25", True)],
)
def test_agrees_with_the_reference(shared, tmp_path, backbone, stem_relu):
    golden = np.load(shared / "goldens" / "backbones.npz")
    keys = json.loads((shared / "goldens" / "backbone_keys.json").read_text())[backbone]
    path = tmp_path / "weights.safetensors"
    weights = {name: golden_weight(name, shape) for name, shape in keys.items()}
    safetensors.numpy.save_file(weights, path)
    config = ModelConfig(
        backbone=backbone, last_stride=1, stem_relu=stem_relu, pretrained=str(path)
    )
    embedder = Embedder(config, None, nnx.Rngs(0))
    load_pretrained(embedder, config)
    graphdef, state = nnx.split(embedder.backbone)
    images = jnp.asarray(golden["images_nhwc"])
    maps = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, train=False).positions)(
        state, images
    )
    batch, channels, height, width = golden[f"{backbone}/map_shape"]
    assert maps.shape == (batch, height, width, channels)
    found, expected = np.asarray(maps.mean((1, 2))), golden[f"{backbone}/pooled"]
    error = np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)
    assert error.max() < 1e-4
