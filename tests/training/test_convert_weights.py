"""Whole models of other frameworks become workdirs that every command can use."""

import errno
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from fashion_jax.cli import main
from fashion_jax.config import ConfigError, ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import load_model
from fashion_jax.inference.weights.layout import to_torch
from fashion_jax.inference.weights.origin import named_arrays
from fashion_jax.models.embedder import Embedder
from fashion_jax.training import convert_weights as conversion
from fashion_jax.training.checks import DiskSpaceError
from fashion_jax.training.convert_weights import convert_weights
from fashion_jax.training.loop import train
from tests.models.backbones.reference import randomised

SIZE = {"image.height": "32", "image.width": "32"}
STRONG = ModelConfig(backbone="resnet18", stem_relu=False)
OSNET = ModelConfig(
    backbone="osnet_x0_25", neck="linear_bn_relu", embedding_width=512, classifier_bias=True
)


def whole_model(config: ModelConfig) -> tuple[Embedder, dict[str, np.ndarray]]:
    """An embedder with drawn weights, and these under PyTorch's leaves and our parts."""
    embedder = randomised(Embedder(config, 7, nnx.Rngs(0)))
    return embedder, dict(to_torch(*item) for item in named_arrays(embedder).items())


def strong_baseline(folder):
    """As reid-strong-baseline would save it."""
    embedder, tensors = whole_model(STRONG)
    renamed = {
        name.replace("backbone.", "base.").replace("bottleneck.norm", "bottleneck"): tensor
        for name, tensor in tensors.items()
    }
    renamed["bottleneck.bias"] = np.zeros(512, np.float32)
    path = folder / "strong.safetensors"
    safetensors.numpy.save_file(renamed, path)
    return embedder, path


def embeddings(embedder, photos, mean, std):
    images = (photos.astype(np.float32) - np.float32(mean)) / np.float32(std)
    neck = nnx.jit(lambda embedder, images: embedder(images, False).neck)(
        embedder, jnp.asarray(images)
    )
    return np.asarray(neck / np.linalg.norm(neck, axis=1, keepdims=True))


@pytest.mark.slow
def test_a_strong_baseline_embeds_here_as_there(tmp_path, capsys):
    embedder, path = strong_baseline(tmp_path)
    flags = [f"--config.{name}={value}" for name, value in SIZE.items()]
    workdir = tmp_path / "run"
    assert main(["weights", "convert", str(path), f"--workdir={workdir}", *flags]) == 0
    assert "names of reid-strong-baseline" in capsys.readouterr().out
    model = load_model(workdir)
    assert (model.card.backbone, model.card.neck, model.card.stem_relu) == (
        "resnet18",
        "bnneck",
        False,
    )
    assert model.card.pretrained == "strong.safetensors"
    photos = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    found = model.encode(model.variables, jnp.asarray(photos))
    expected = embeddings(embedder, photos, model.card.pixel_mean, model.card.pixel_std)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.slow
def test_an_osnet_keeps_its_own_last_layers(tmp_path):
    _, tensors = whole_model(OSNET)
    renamed = {
        name.replace("backbone.", "")
        .replace("bottleneck.linear", "fc.0")
        .replace("bottleneck.norm", "fc.1"): tensor
        for name, tensor in tensors.items()
    }
    path = tmp_path / "osnet.safetensors"
    safetensors.numpy.save_file(renamed, path)
    convert_weights(path, tmp_path / "run", SIZE)
    card = load_model(tmp_path / "run").card
    assert (card.backbone, card.neck, card.embedding_width) == (
        "osnet_x0_25",
        "linear_bn_relu",
        512,
    )


@pytest.mark.slow
def test_what_is_asked_for_comes_before_what_is_known(tmp_path):
    _, path = strong_baseline(tmp_path)
    convert_weights(path, tmp_path / "run", {**SIZE, "model.last_stride": "2"})
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (stored["model"]["last_stride"], stored["model"]["stem_relu"]) == (2, False)


@pytest.mark.slow
def test_nothing_is_left_of_what_fails(tmp_path):
    _, path = strong_baseline(tmp_path)
    for overrides, error in (
        ({"model.backbone": "resnet34"}, FashionJaxError),
        ({"model.backbones": "resnet34"}, ConfigError),
    ):
        with pytest.raises(error):
            convert_weights(path, tmp_path / "run", overrides)
    assert not (tmp_path / "run").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "photo.jpg").touch()
    with pytest.raises(FashionJaxError, match="is not empty"):
        convert_weights(path, tmp_path / "full", SIZE)


@pytest.mark.slow
def test_training_does_not_go_on_from_a_converted_model(tmp_path, tiny_config):
    _, path = strong_baseline(tmp_path)
    convert_weights(path, tmp_path / "run", SIZE)
    with pytest.raises(FashionJaxError, match=r"another config|model\.pretrained"):
        train(tiny_config, tmp_path / "run", progress=False)


def test_inspect_says_what_fits(tmp_path, capsys):
    _, path = strong_baseline(tmp_path)
    assert main(["weights", "inspect", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["framework"], found["fits"]) == ("reid-strong-baseline", ["resnet18"])
    assert (found["identities"], found["problems"]) == (7, [])
    assert main(["weights", "inspect", str(path)]) == 0
    assert "resnet18" in capsys.readouterr().out


def test_inspect_of_what_fits_nothing(tmp_path, capsys):
    path = tmp_path / "odd.safetensors"
    odd = {"layer.weight": np.full((2, 2), np.nan, np.float32)}
    safetensors.numpy.save_file(odd, path)
    assert main(["weights", "inspect", str(path), "--json"]) == 0
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert "not finite: layer.weight" in problems[0]
    assert "belong to none of the frameworks" in problems[1]
    path.write_bytes(b"no weights")
    assert main(["weights", "inspect", str(path)]) == 2
    assert "not a safetensors file" in capsys.readouterr().err


@pytest.mark.slow
def test_the_dtype_and_devices_of_a_converted_model(tmp_path):
    _, path = strong_baseline(tmp_path)
    convert_weights(path, tmp_path / "run", SIZE)
    model = load_model(tmp_path / "run")
    assert {leaf.dtype for leaf in jax.tree.leaves(model.variables)} == {jnp.dtype(jnp.float32)}


@pytest.mark.slow
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), MemoryError()])
def test_a_conversion_that_fails_late_leaves_nothing(error, tmp_path, monkeypatch):
    _, path = strong_baseline(tmp_path)

    def fail(*_):
        raise error

    monkeypatch.setattr(conversion, "store_config", fail)
    with pytest.raises(type(error)):
        convert_weights(path, tmp_path / "run", SIZE)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.slow
def test_a_disk_without_room_for_the_model_is_named(tmp_path, monkeypatch):
    _, path = strong_baseline(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 99))
    with pytest.raises(DiskSpaceError, match=r"has 99 bytes free; a checkpoint needs 4\d,\d{3},"):
        convert_weights(path, tmp_path / "run", SIZE)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
