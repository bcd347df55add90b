"""The notebooks run from top to bottom, with small settings."""

import importlib.util
import pathlib
import re

import jupytext
import nbclient
import pytest

from tests.conftest import TINY_DATASET
from tests.dummy_data import street2shop
from tests.test_colab import COLAB
from tests.xla_flags import xla_flags

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

ANSWERS = r"rank +score +(?:product|photo) .*\n[- ]+\n(.*)"  # with the first answer of a table

OVERRIDES = {
    "data.identities_per_batch": 4,
    "data.photos_per_identity": 2,
    "image.height": 32,
    "image.width": 32,
    "model.backbone": "tiny",
    "model.pretrained": "none",
    "model.compute_dtype": "float32",
    "training.epochs": 1,
    "training.evaluate_every_epochs": 1,
    "training.log_every_steps": 1,
    "evaluation.batch_size": 16,
}


def run(name: str, folder: pathlib.Path, **parameters: object) -> nbclient.NotebookClient:
    """Execute a notebook in `folder`, with other values in its cell of parameters."""
    notebook = jupytext.read(COLAB / f"{name}.py")
    (cell,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    unknown = [key for key in parameters if not re.search(rf"^{key}\b.*=", cell.source, re.M)]
    assert not unknown, "not among the notebook's parameters"
    given = {"FOLDER": str(folder / "work"), **parameters}
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in given.items())
    cell.source += "\nFOLDER = pathlib.Path(FOLDER)"
    client = nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3")
    client.execute(cwd=str(folder))
    return client


def printed(client: nbclient.NotebookClient) -> str:
    outputs = [o for cell in client.nb.cells for o in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def pictures(client: nbclient.NotebookClient) -> int:
    outputs = [o for cell in client.nb.cells for o in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.fixture(autouse=True)
def _kernel(monkeypatch):
    """A kernel on one device, which shows its figures."""
    monkeypatch.setenv("XLA_FLAGS", xla_flags(1))
    monkeypatch.delenv("MPLBACKEND")


def test_first_search(tmp_path):
    client = run("01_first_search", tmp_path, DATASET_OPTIONS=TINY_DATASET, OVERRIDES=OVERRIDES)
    text = printed(client)
    assert "instance/mAP" in text
    assert "devices" in text
    assert re.search(ANSWERS, text)
    assert pictures(client) >= 3


def test_own_photos(tmp_path):
    drawn = TINY_DATASET | {"train_identities": 30}
    client = run("02_own_photos", tmp_path, DRAWN=drawn, OVERRIDES=OVERRIDES)
    text = printed(client)
    assert "rows in" in text
    assert "photos of catalogue in" in text
    assert "instance/mAP" in text
    assert "untrained" in text
    _, new = re.findall(ANSWERS, text)
    assert float(new.split()[1]) > 0.999  # an added photo finds itself
    assert "test-" in new
    assert pictures(client) >= 4


def test_one_device_and_all_devices_agree(tmp_path, monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", xla_flags(8))
    client = run("05_tpu", tmp_path, DATASET_OPTIONS=TINY_DATASET, OVERRIDES=OVERRIDES)
    text = printed(client)
    assert "8 devices of the kind cpu" in text
    assert "8 photos in a batch, 1 on each device" in text
    (largest,) = re.findall(r"largest difference in \d+ steps: (\S+)", text)
    assert float(largest) < 1e-4
    metrics = re.findall(r"(one|all): instance/mAP (\S+)", text)
    assert [name for name, _ in metrics] == ["one", "all"]
    assert float(metrics[0][1]) == pytest.approx(float(metrics[1][1]), abs=0.05)
    assert pictures(client) >= 2


def test_reproduce_paper(tmp_path):
    street2shop.write_dummy_data(tmp_path / "raw")
    parameters = {
        "RAW": str(tmp_path / "raw"),
        "CONFIG": "street2shop_resnet50",
        "PRETRAINED": "none",
        "OVERRIDES": OVERRIDES | {"data.workers": 0},
    }
    client = run("03_reproduce_paper", tmp_path, **parameters)
    text = printed(client)
    assert "no Drive to mount" in text
    assert re.search(r"^instance/mAP +\d\.\d{3} .* 0\.548$", text, re.M)
    assert re.search(r"^instance/Acc@20 +\d\.\d{3} .* 0\.729$", text, re.M)
    assert re.search(ANSWERS, text)
    assert pictures(client) >= 3
    assert (tmp_path / "work" / "runs" / "street2shop_resnet50" / "checkpoints").is_dir()
    kept = tmp_path / "work" / "data" / "street2shop"
    assert [path.name for path in kept.parent.iterdir()] == ["street2shop"]


def test_beside_pytorch(tmp_path):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("SKIPPED FOR WANT OF PYTORCH: 04_beside_pytorch was not run")
    client = run("04_beside_pytorch", tmp_path, SIZE=32, STEPS=2, IDENTITIES=4)
    text = printed(client)
    (embeddings,) = re.findall(r"largest difference of embeddings: (\S+)", text)
    assert float(embeddings) < 1e-5
    steps = re.findall(r"^ +\d+ +" + r" +".join([r"(\S+)"] * 6) + "$", text, re.M)
    assert len(steps) == 2
    for loss, their_loss, _, norm, their_norm, _ in steps:
        assert float(loss) == pytest.approx(float(their_loss), rel=1e-3)
        assert float(norm) == pytest.approx(float(their_norm), rel=1e-2)
    (ours,) = re.findall(r"^  fashion-jax +(\S+)$", text, re.M)
    assert float(ours) < 1e-2
    assert pictures(client) >= 3
