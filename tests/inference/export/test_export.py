"""An export embeds like the model, without fashion-jax."""

import functools
import json
import subprocess
import sys

import jax
import numpy as np
import pytest
import safetensors.numpy

from fashion_jax.cli import main
from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import read_card
from fashion_jax.inference.embed import embedding_function, without_classifier
from fashion_jax.inference.export import export as export_module
from fashion_jax.inference.export import parity as parity_module
from fashion_jax.inference.export.export import export, write_stablehlo
from fashion_jax.inference.export.parity import ParityError, check_parity, drawn_photos
from fashion_jax.inference.model import load_model
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.numerics import ZeroRngs
from fashion_jax.models.pure import split_model
from fashion_jax.training.convert_weights import convert_weights
from tests.e2e.untrained_run import write_untrained_run
from tests.inference.cards import CARD
from tests.models.backbones.tiny import WIDTH
from tests.training.test_convert_weights import SIZE, strong_baseline


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_config):
    """A workdir with a network of drawn weights."""
    workdir = tmp_path_factory.mktemp("export") / "run"
    write_untrained_run(tiny_config, workdir)
    return workdir


@pytest.mark.slow
def test_stablehlo_needs_jax_alone(run, tmp_path, capsys):
    output = tmp_path / "out"
    flags = [f"--workdir={run}", "--format=stablehlo", f"--output={output}"]
    assert main(["export", *flags]) == 0
    assert "differ from the model's by at most" in capsys.readouterr().out
    parity = json.loads((output / "parity.json").read_text())
    assert parity["photos"] == 8
    assert parity["largest_difference"] <= parity["tolerance"] == 1e-5
    model = load_model(run)
    assert read_card((output / "model_card.json").read_text()) == model.card
    photos = drawn_photos(3, 32, 32)
    np.save(output / "photos.npy", photos)
    script = (
        "import sys, numpy as np; from jax import export\n"
        "model = export.deserialize(bytearray(open('model.stablehlo', 'rb').read()))\n"
        "np.save('found.npy', model.call(np.load('photos.npy')))\n"
        "assert not {'flax', 'fashion_jax'} & {name.split('.')[0] for name in sys.modules}\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=output, check=True)
    expected = np.asarray(model.encode(model.variables, np.repeat(photos, 8, 0)))[::8]
    np.testing.assert_allclose(np.load(output / "found.npy"), expected, atol=1e-5)


@pytest.mark.slow
def test_the_number_of_photos_is_free_whatever_the_layers(tmp_path):
    """Poolings, gates and depthwise convolutions, for all platforms; compiled for none."""
    config = ModelConfig(backbone="osnet_x0_25")
    _, params, model_state = split_model(Embedder(config, None, ZeroRngs(0)))
    embed = embedding_function(config, CARD.preprocessing)
    variables = without_classifier(params, model_state)
    exported = write_stablehlo(functools.partial(embed, variables), CARD, tmp_path)
    photos = jax.ShapeDtypeStruct((7, CARD.image_height, CARD.image_width, 3), np.uint8)
    assert jax.eval_shape(exported, photos).shape == (7, 128)


@pytest.mark.slow
def test_the_usage_that_lies_beside_it_runs(run, tmp_path):
    export(run, "stablehlo", tmp_path / "out")
    subprocess.run([sys.executable, "usage.py"], cwd=tmp_path / "out", check=True)


@pytest.mark.slow
def test_safetensors_have_pytorchs_names_and_axes(tmp_path, monkeypatch):
    monkeypatch.setattr(parity_module, "BATCH_SIZES", (2,))  # each is compiled for itself
    run = tmp_path / "run"
    _, path = strong_baseline(tmp_path)
    convert_weights(path, run, SIZE)
    export(run, "safetensors", tmp_path / "out")
    tensors = safetensors.numpy.load_file(tmp_path / "out" / "model.safetensors")
    assert tensors["backbone.conv1.weight"].shape == (64, 3, 7, 7)
    assert tensors["backbone.layer1.0.bn1.running_var"].shape == (64,)
    assert not [name for name in tensors if name.startswith("classifier")]
    parity = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert parity["largest_difference"] == 0
    convert_weights(
        tmp_path / "out" / "model.safetensors",
        tmp_path / "again",
        {**SIZE, "model.stem_relu": "False"},
    )
    first, again = (load_model(workdir) for workdir in (run, tmp_path / "again"))
    assert first.card.difference(again.card) == []


def test_onnx_is_refused_with_the_reason(run, capsys):
    assert main(["export", f"--workdir={run}", "--format=onnx"]) == 2
    assert "jax2onnx" in capsys.readouterr().err


@pytest.mark.slow
def test_an_export_that_differs_leaves_nothing(run, tmp_path, monkeypatch):
    def wrong(embed, card, folder):
        (folder / "model.stablehlo").write_bytes(b"...")
        return lambda photos: np.full((len(photos), WIDTH), WIDTH**-0.5, np.float32)

    monkeypatch.setattr(export_module, "write_stablehlo", wrong)
    with pytest.raises(ParityError, match="it was not kept"):
        export(run, "stablehlo", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(FashionJaxError, match="exists already"):
        export(run, "stablehlo", tmp_path / "out")
    with pytest.raises(FashionJaxError, match="no run in"):
        export(tmp_path, "stablehlo", tmp_path / "new")


def test_nan_is_no_parity():
    def model(photos):
        return np.ones((len(photos), 2), np.float32)

    def broken(photos):
        return np.full((len(photos), 2), np.nan, np.float32)

    assert check_parity(model, model, CARD).largest_difference == 0
    with pytest.raises(ParityError):
        check_parity(model, broken, CARD)
