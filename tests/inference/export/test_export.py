"""An export embeds like the model, without fashion-jax."""

import json
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy

from fashion_jax.cli import main
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import read_card
from fashion_jax.inference.export import export as export_module
from fashion_jax.inference.export.export import export
from fashion_jax.inference.export.parity import ParityError, check_parity, drawn_photos
from fashion_jax.inference.model import load_model
from fashion_jax.training.convert_weights import convert_weights
from tests.inference.cards import CARD
from tests.training.test_convert_weights import SIZE, strong_baseline


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A workdir with a ResNet-18 of drawn weights."""
    folder = tmp_path_factory.mktemp("export")
    _, path = strong_baseline(folder)
    convert_weights(path, folder / "run", SIZE)
    return folder / "run"


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
def test_the_usage_that_lies_beside_it_runs(run, tmp_path):
    export(run, "stablehlo", tmp_path / "out")
    subprocess.run([sys.executable, "usage.py"], cwd=tmp_path / "out", check=True)


@pytest.mark.slow
def test_safetensors_have_pytorchs_names_and_axes(run, tmp_path):
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
        return lambda photos: np.ones((len(photos), 512), np.float32) / 512**0.5

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
