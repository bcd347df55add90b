"""The notebooks run from top to bottom, with small settings, and match their scripts."""

import pathlib

import jupytext
import nbclient
import pytest

from tests.conftest import TINY_DATASET

COLAB = pathlib.Path(__file__).parents[1] / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))

SMALL = """
import pathlib
FOLDER = pathlib.Path(FOLDER_HERE)
DATASET_OPTIONS = DATASET_OPTIONS_HERE
OVERRIDES = {
    "data.identities_per_batch": 4,
    "data.photos_per_identity": 2,
    "image.height": 32,
    "image.width": 32,
    "model.backbone": "tiny",
    "model.pretrained": "none",
    "training.epochs": 1,
    "training.evaluate_every_epochs": 1,
    "training.log_every_steps": 1,
    "evaluation.batch_size": 16,
}
"""


def sources(notebook) -> list[tuple[str, str]]:
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_and_script_are_the_same(path):
    script = jupytext.read(path.with_suffix(".py"))
    assert sources(jupytext.read(path)) == sources(script), "run `make notebooks`"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_cell_prints_versions_and_devices_and_jax_is_not_reinstalled(path):
    code = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    assert "jax.devices()" in code[0]
    assert "version" in code[0]
    assert "--constraint" in code[0]
    assert not any("install jax" in cell or "install -U jax" in cell for cell in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.delenv("MPLBACKEND")  # the kernel shows its figures
    notebook = jupytext.read(path.with_suffix(".py"))
    (settings,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    settings.source = SMALL.replace("FOLDER_HERE", repr(str(tmp_path / "demo"))).replace(
        "DATASET_OPTIONS_HERE", repr(TINY_DATASET)
    )
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.execute(cwd=str(tmp_path))
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "instance/mAP" in printed
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) >= 3
