"""reid-strong-baseline's SE networks give the features that its PyTorch code gives."""

import logging

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights import matching, pretrained
from fashion_jax.inference.weights.fill import fill_network
from fashion_jax.inference.weights.layout import to_torch
from fashion_jax.inference.weights.matching import backbone_shapes
from fashion_jax.inference.weights.weight_map import convert_state_dict
from fashion_jax.inference.weights.weight_maps import WEIGHT_MAPS
from fashion_jax.inference.weights.whole_model import model_config_of
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.embedder import Embedder
from tests.models.backbones.shallow import shallow

IDENTITIES = 3
# Depth of each of ours that stands for a family here: one block in each stage.
FAMILIES = {"se_resnet9": "se_resnet50", "se_resnext9_32x4d": "se_resnext50_32x4d"}


def state_dict(spec) -> dict[str, np.ndarray]:
    """A whole model under the framework's names, with random numbers."""
    rng, found = np.random.default_rng(0), {}
    for path, shape in backbone_shapes(spec).items():
        name, empty = to_torch(path, np.empty(shape, np.float32))
        name = name.replace(".se.", ".se_module.")
        name = f"layer0.{name}" if name.startswith(("conv1.", "bn1.")) else name
        fan_in = np.prod(empty.shape[1:]) if empty.ndim > 1 else 16
        values = rng.standard_normal(empty.shape) / np.sqrt(fan_in)
        if empty.ndim == 1 and name.endswith(("running_var", "weight")):
            values = 1 + np.abs(values)
        found[f"base.{name}"] = values.astype(np.float32)
    width = 2048
    found |= {
        f"bottleneck.{leaf}": np.ones(width, np.float32) for leaf in ("weight", "running_var")
    }
    found |= {
        f"bottleneck.{leaf}": np.zeros(width, np.float32) for leaf in ("bias", "running_mean")
    }
    found["classifier.weight"] = np.zeros((IDENTITIES, width), np.float32)
    return found


class Reference:
    """The framework's forward pass in NumPy, from its own names and PyTorch's axes of kernels."""

    def __init__(self, tensors, groups, stride_in_1x1):
        self.tensors, self.groups, self.stride_in_1x1 = tensors, groups, stride_in_1x1

    def conv(self, name, inputs, stride=1, groups=1):
        kernel = self.tensors[f"{name}.weight"]
        pad = kernel.shape[-1] // 2
        padded = np.pad(inputs, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel.shape[2:], (1, 2))
        parts = zip(
            np.split(windows[:, ::stride, ::stride], groups, 3),
            np.split(kernel, groups),
            strict=True,
        )
        outputs = [np.einsum("nhwcij,ocij->nhwo", *part, optimize=True) for part in parts]
        return np.concatenate(outputs, -1) + self.tensors.get(f"{name}.bias", 0)

    def norm(self, name, inputs):
        weight, bias, mean, var = (
            self.tensors[f"{name}.{leaf}"]
            for leaf in ("weight", "bias", "running_mean", "running_var")
        )
        return (inputs - mean) / np.sqrt(var + 1e-5) * weight + bias

    def block(self, name, inputs, stride):
        strides = (stride, 1) if self.stride_in_1x1 else (1, stride)
        hidden = self.conv(f"{name}.conv1", inputs, strides[0])
        hidden = np.maximum(self.norm(f"{name}.bn1", hidden), 0)
        hidden = self.conv(f"{name}.conv2", hidden, strides[1], self.groups)
        hidden = np.maximum(self.norm(f"{name}.bn2", hidden), 0)
        hidden = self.norm(f"{name}.bn3", self.conv(f"{name}.conv3", hidden))
        gate = self.conv(f"{name}.se_module.fc1", hidden.mean((1, 2), keepdims=True))
        gate = self.conv(f"{name}.se_module.fc2", np.maximum(gate, 0))
        shortcut = self.conv(f"{name}.downsample.0", inputs, stride)
        shortcut = self.norm(f"{name}.downsample.1", shortcut)
        return np.maximum(hidden / (1 + np.exp(-gate)) + shortcut, 0)

    def __call__(self, images):
        features = self.norm("base.layer0.bn1", self.conv("base.layer0.conv1", images, 2))
        features = max_pool_with_ceil_mode(np.maximum(features, 0))
        for stage, stride in ((1, 1), (2, 2), (3, 2), (4, 1)):
            features = self.block(f"base.layer{stage}.0", features, stride)
        return features


def max_pool_with_ceil_mode(inputs):
    rows, columns = (-(-(size - 3) // 2) + 1 for size in inputs.shape[1:3])
    windows = [
        [inputs[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3] for column in range(columns)]
        for row in range(rows)
    ]
    return np.stack([np.stack([each.max((1, 2)) for each in row], 1) for row in windows], 1)


@pytest.fixture
def backbones(monkeypatch):
    """The families by their names here, in the registry."""
    specs = {name: shallow(BACKBONES[published]) for name, published in FAMILIES.items()}
    monkeypatch.setattr(matching, "BACKBONES", specs)
    for name, spec in specs.items():
        monkeypatch.setitem(BACKBONES, name, spec)
    return specs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "groups", "stride_in_1x1"),
    [("se_resnet9", 1, True), ("se_resnext9_32x4d", 32, False)],
)
def test_features_are_the_frameworks(backbone, groups, stride_in_1x1, backbones):
    tensors = state_dict(backbones[backbone])
    converted = convert_state_dict(tensors, WEIGHT_MAPS)
    config = model_config_of(converted, {})
    assert (config.backbone, config.stride_in_1x1) == (backbone, stride_in_1x1)
    images = np.random.default_rng(1).standard_normal((2, 45, 30, 3)).astype(np.float32)
    network = Embedder(config, IDENTITIES, nnx.Rngs(0))
    fill_network(network, converted.tensors, "here")
    found = nnx.jit(lambda network, images: network.backbone(images, False).positions)(
        network, jnp.asarray(images)
    )
    expected = Reference(tensors, groups, stride_in_1x1)(images)
    assert expected.shape == (2, 3, 2, 2048)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    elsewhere = Reference(tensors, groups, not stride_in_1x1)(images)
    assert np.abs(elsewhere - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("given", [False, True])
def test_training_from_them_warns_of_another_stride(given, backbones, caplog, monkeypatch):
    converted = convert_state_dict(state_dict(backbones["se_resnet9"]), WEIGHT_MAPS)
    monkeypatch.setattr(pretrained, "read_state_dict", lambda path: converted)
    monkeypatch.setattr(pretrained, "fill_network", lambda *arguments: None)
    config = ModelConfig(
        backbone="se_resnet9", pretrained="a.pth", stem_pool="ceil", stride_in_1x1=given
    )
    with caplog.at_level(logging.WARNING):
        pretrained.load_pretrained(
            nnx.eval_shape(lambda: Embedder(config, None, nnx.Rngs(0))), config
        )
    warned = [record.message for record in caplog.records]
    assert len(warned) == (0 if given else 1)
    assert all(
        "a.pth: its network was trained with model.stride_in_1x1=True" in each for each in warned
    )
