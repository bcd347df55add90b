import dataclasses
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.models.backbones import backbone_spec
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.layers import BatchNorm, Conv2d
from fashion_jax.models.pretrained import (
    PretrainedWeightsError,
    fill,
    load_pretrained,
    read_weights,
    weights_hash,
)
from tests.models import torch_files


class Tiny(nnx.Module):
    def __init__(self) -> None:
        self.conv1 = Conv2d(2, 3, 1, rngs=nnx.Rngs(0))
        self.blocks = nnx.List([BatchNorm(3)])


def tiny_weights() -> dict[str, np.ndarray]:
    """Of `Tiny`, as a PyTorch file holds them."""
    chance = np.random.RandomState(0)
    shapes = {
        "conv1.weight": (3, 2, 1, 1),
        "_blocks.0.weight": (3,),
        "_blocks.0.bias": (3,),
        "_blocks.0.running_mean": (3,),
        "_blocks.0.running_var": (3,),
        "_blocks.0.num_batches_tracked": (),
        "fc.weight": (10, 3),
        "fc.bias": (10,),
    }
    return {
        name: np.asarray(chance.uniform(0.5, 1, shape), np.float32)
        for name, shape in shapes.items()
    }


def test_fills_by_name_and_layout():
    network, weights = Tiny(), tiny_weights()
    fill(network, weights, "here")
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
        np.testing.assert_array_equal(ours[...], weights[f"_blocks.0.{theirs}"])


def test_one_error_lists_everything_and_fills_nothing():
    network, weights = Tiny(), tiny_weights()
    before = weights_hash(network)
    del weights["_blocks.0.bias"], weights["_blocks.0.running_mean"]
    weights["conv1.weight"] = np.zeros((4, 2, 1, 1), np.float32)
    weights["layer9.weight"] = weights["layer9.bias"] = np.zeros(3, np.float32)
    weights["_blocks.0.running_var"][1] = np.nan
    with pytest.raises(PretrainedWeightsError) as caught:
        fill(network, weights, "some.pth")
    lines = str(caught.value).split("\n")
    assert lines[0].startswith("some.pth does not fit")
    assert lines[1:] == [
        "2 missing: blocks.0.bias, blocks.0.mean",
        "2 surplus: layer9.weight, layer9.bias",
        "1 misshapen: conv1.weight ((1, 1, 2, 4) for (1, 1, 2, 3))",
        "1 not finite: _blocks.0.running_var",
    ]
    assert weights_hash(network) == before


def test_two_sources_for_one_target_are_surplus():
    weights = tiny_weights()
    weights["_conv1.weight"] = weights["conv1.weight"]
    with pytest.raises(PretrainedWeightsError, match=r"1 surplus: _conv1\.weight"):
        fill(Tiny(), weights, "here")


def test_reads_what_safetensors_and_pth_hold(tmp_path):
    weights = tiny_weights()
    safetensors.numpy.save_file(weights, tmp_path / "w.safetensors")
    entries = {
        name: torch_files.Entry(values, str(number))
        for number, (name, values) in enumerate(weights.items())
    }
    (tmp_path / "w.pth").write_bytes(torch_files.archive_of(entries))
    hashes = set()
    for name in ("w.safetensors", "w.pth"):
        network = Tiny()
        fill(network, read_weights(tmp_path / name), name)
        hashes.add(weights_hash(network))
    assert len(hashes) == 1


def test_unreadable_sources_are_named(tmp_path):
    broken = tmp_path / "w.safetensors"
    broken.write_bytes(b"\xff" * 40)
    text = tmp_path / "w.txt"
    text.touch()
    for path, message in (
        (broken, "not a safetensors file"),
        (text, "ends neither"),
        (tmp_path / "none.pth", "no file"),
    ):
        with pytest.raises(PretrainedWeightsError, match=message):
            read_weights(path)


def test_package_weights_reach_every_parameter():
    config = ModelConfig(backbone="efficientnet_lite0", pretrained="none")
    embedder = Embedder(config, None, nnx.Rngs(0))
    before = arrays(embedder.backbone)
    load_pretrained(embedder, config)
    assert [
        path for path, new in arrays(embedder.backbone).items() if new is not before[path]
    ] == []
    load_pretrained(embedder, dataclasses.replace(config, pretrained="package"))
    after = arrays(embedder.backbone)
    assert [path for path, new in after.items() if np.array_equal(new, before[path])] == []
    source = read_weights(pathlib.Path(backbone_spec(config.backbone).package_weights()))
    np.testing.assert_array_equal(
        after["blocks", 15, "depthwise_conv", "kernel"][:, :, 0],
        source["_blocks.15._depthwise_conv.weight"][:, 0].transpose(1, 2, 0),
    )


def arrays(network):
    state = nnx.to_flat_state(nnx.state(network, (nnx.Param, nnx.BatchStat)))
    return {path: variable[...] for path, variable in state}


def test_a_backbone_without_package_says_what_to_do():
    config = ModelConfig(backbone="resnet18", pretrained="package")
    with pytest.raises(PretrainedWeightsError, match="torchvision"):
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
