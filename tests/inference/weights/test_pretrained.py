import dataclasses

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.inference.weights import WeightsError
from fashion_jax.inference.weights.files import read_state_dict, read_weights
from fashion_jax.inference.weights.fill import fill_network
from fashion_jax.inference.weights.origin import WeightsOrigin, weights_hash, weights_origin
from fashion_jax.inference.weights.pretrained import load_pretrained
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.layers import Conv2d
from fashion_jax.models.norms import BatchNorm
from fashion_jax.versions import ModuleList
from tests.inference.weights import torch_files


class Tiny(nnx.Module):
    def __init__(self) -> None:
        self.conv1 = Conv2d(2, 3, 1, rngs=nnx.Rngs(0))
        self.blocks = ModuleList([BatchNorm(3)])


def tiny_weights() -> dict[str, np.ndarray]:
    """Of `Tiny`, as a PyTorch file holds them."""
    chance = np.random.RandomState(0)
    shapes = {
        "conv1.weight": (3, 2, 1, 1),
        "blocks.0.weight": (3,),
        "blocks.0.bias": (3,),
        "blocks.0.running_mean": (3,),
        "blocks.0.running_var": (3,),
    }
    return {
        name: np.asarray(chance.uniform(0.5, 1, shape), np.float32)
        for name, shape in shapes.items()
    }


def test_fills_by_name_and_layout():
    network, weights = Tiny(), tiny_weights()
    fill_network(network, weights, "here")
    np.testing.assert_array_equal(
        network.conv1.kernel[...][0, 0], weights["conv1.weight"][:, :, 0, 0].T
    )
    norm = network.blocks[0]
    for ours, theirs in (
        (norm.scale, "weight"),
        (norm.bias, "bias"),
        (norm.mean, "running_mean"),
        (norm.var, "running_var"),
    ):
        np.testing.assert_array_equal(ours[...], weights[f"blocks.0.{theirs}"])


def test_one_error_lists_everything_and_fills_nothing():
    network, weights = Tiny(), tiny_weights()
    before = weights_hash(network)
    del weights["blocks.0.running_mean"]
    weights["conv1.weight"] = np.zeros((4, 2, 1, 1), np.float32)
    weights["layer9.weight"] = weights["layer9.bias"] = np.zeros(3, np.float32)
    weights["blocks.0.running_var"][1] = np.nan
    weights["blocks.0.bias"] = np.zeros(3, np.int64)
    with pytest.raises(WeightsError) as caught:
        fill_network(network, weights, "some.pth")
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("some.pth does not fit")
    assert lines[1:] == [
        "1 missing: blocks.0.mean",
        "2 surplus: layer9.weight, layer9.bias",
        "1 misshapen: conv1.weight ((1, 1, 2, 4) for (1, 1, 2, 3))",
        "1 not floating-point: blocks.0.bias (int64)",
        "1 not finite: blocks.0.running_var",
    ]
    assert weights_hash(network) == before


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_floats_become_the_networks(dtype):
    network = Tiny()
    fill_network(
        network, {name: value.astype(dtype) for name, value in tiny_weights().items()}, "here"
    )
    assert network.conv1.kernel.dtype == jnp.float32
    np.testing.assert_allclose(
        network.blocks[0].bias[...], tiny_weights()["blocks.0.bias"], rtol=1e-2
    )


def test_reads_what_safetensors_and_pth_hold(tmp_path):
    weights = tiny_weights()
    safetensors.numpy.save_file(weights, tmp_path / "w.safetensors")
    entries = {
        name: torch_files.Entry(values, str(number))
        for number, (name, values) in enumerate(weights.items())
    }
    (tmp_path / "w.pth").write_bytes(torch_files.archive_of(entries))
    hashes = set()
    for name, kind in (("w.safetensors", "safetensors"), ("w.pth", "PyTorch")):
        network, file = Tiny(), read_weights(tmp_path / name)
        assert file.format == kind
        fill_network(network, file.tensors, name)
        hashes.add(weights_hash(network))
    assert len(hashes) == 1


def test_names_of_no_framework_are_an_error_that_names_the_file(tmp_path):
    safetensors.numpy.save_file({"odd": np.zeros(1, np.float32)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"w\.safetensors: the names of its 1 tensors"):
        read_state_dict(tmp_path / "w.safetensors")


def test_unreadable_sources_are_named(tmp_path):
    broken = tmp_path / "w.safetensors"
    broken.write_bytes(b"\xff" * 40)
    text = tmp_path / "w.txt"
    text.touch()
    for path, message in (
        (broken, "not a safetensors file"),
        (text, "another ending"),
        (tmp_path / "none.pth", "No such file"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_weights(path)


@pytest.mark.slow
def test_package_weights_reach_every_parameter():
    config = ModelConfig(backbone="efficientnet_lite0", pretrained="none")
    embedder = Embedder(config, None, nnx.Rngs(0))
    before = arrays(embedder.backbone)
    load_pretrained(embedder, config)
    assert [
        path for path, new in arrays(embedder.backbone).items() if new is not before[path]
    ] == []
    package = dataclasses.replace(config, pretrained="package")
    load_pretrained(embedder, package)
    after = arrays(embedder.backbone)
    assert [path for path, new in after.items() if np.array_equal(new, before[path])] == []
    path = BACKBONES[config.backbone].package_weights()
    source = torch_weights(path)
    np.testing.assert_array_equal(
        after["blocks", 15, "depthwise_conv", "kernel"][:, :, 0],
        source["_blocks.15._depthwise_conv.weight"][:, 0].transpose(1, 2, 0),
    )
    origin = weights_origin(package)
    assert origin.name.endswith(".pth")
    assert len(origin.sha256) == 64
    assert weights_origin(config) == WeightsOrigin()


def torch_weights(path):
    import pathlib

    return read_weights(pathlib.Path(path)).tensors


def arrays(network):
    state = nnx.to_flat_state(nnx.state(network, (nnx.Param, nnx.BatchStat)))
    return {path: variable[...] for path, variable in state}


@pytest.mark.slow
def test_a_backbone_without_package_says_what_to_do():
    config = ModelConfig(backbone="resnet18", pretrained="package")
    with pytest.raises(WeightsError, match=r"docs/weights\.md"):
        load_pretrained(Embedder(config, None, nnx.Rngs(0)), config)


def test_hash_depends_on_the_weights_alone():
    network = Tiny()
    _, params, statistics = nnx.split(network, nnx.Param, nnx.BatchStat)
    expected = weights_hash(network)
    assert weights_hash(params, statistics) == expected
    assert weights_hash(statistics, nnx.to_pure_dict(params)) == expected
    assert weights_hash(params) != expected
    nudged = jax.tree.map(lambda leaf: jnp.nextafter(leaf, jnp.inf), statistics)
    assert weights_hash(params, nudged) != expected
