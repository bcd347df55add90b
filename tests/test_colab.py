"""The notebooks run from top to bottom, with small settings, and match their scripts."""

import importlib.metadata
import importlib.util
import pathlib
import re
import subprocess
import sys
import types

import jupytext
import nbclient
import pytest

from tests.conftest import TINY_DATASET
from tests.dummy_data import street2shop
from tests.xla_flags import xla_flags

COLAB = pathlib.Path(__file__).parents[1] / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

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


def code_of(path: pathlib.Path) -> list[str]:
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]


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


@pytest.fixture
def _kernel(monkeypatch):
    """A kernel on one device, which shows its figures."""
    monkeypatch.setenv("XLA_FLAGS", xla_flags(1))
    monkeypatch.delenv("MPLBACKEND")


runs_a_notebook = [
    pytest.mark.slow,
    pytest.mark.usefixtures("_kernel"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def marked(test):
    for mark in runs_a_notebook:
        test = mark(test)
    return test


def test_there_are_notebooks():
    assert NOTEBOOKS
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in sorted(COLAB.glob("*.py"))]


@each_notebook
def test_notebook_and_script_are_the_same(path):
    cells = [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells]
    script = jupytext.read(path.with_suffix(".py"))
    assert cells == [(cell.cell_type, cell.source) for cell in script.cells], "run `make notebooks`"


@each_notebook
def test_has_no_outputs_a_badge_parameters_and_an_end(path):
    notebook = jupytext.read(path)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert f"/colab/{path.name})" in notebook.cells[0].source
    assert "## What to do next" in notebook.cells[-1].source
    named = re.findall(r"`(\d\d_\w+\.ipynb)`", notebook.cells[-1].source)
    assert all((COLAB / name).is_file() for name in named)
    (settings,) = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert "FOLDER" in settings.source


@each_notebook
def test_all_install_in_the_same_way_and_nothing_else(path):
    first, *others = code_of(path)
    assert first == code_of(NOTEBOOKS[0])[0]
    assert not any("pip" in cell.split() or "install" in cell.split() for cell in others)


class Runtime:
    """A runtime of which pip and the list of packages are played."""

    def __init__(self, monkeypatch, packages: dict[str, str], installs: dict[str, str]) -> None:
        self.packages, self.installs = dict(packages), installs
        self.command: list[str] = []
        self.constraints: list[str] = []
        self.others = importlib.metadata.distributions
        monkeypatch.setattr(importlib.metadata, "distributions", self._distributions)
        monkeypatch.setattr(subprocess, "run", self._run)

    def _distributions(self, path=None):
        if path is None:  # jax looks for its plugins
            return self.others()
        return [
            types.SimpleNamespace(metadata={"Name": name}, version=version)
            for name, version in self.packages.items()
        ]

    def _run(self, command, check):
        assert check
        assert not self.command
        self.command = command
        file = command[command.index("--constraint") + 1]
        self.constraints = pathlib.Path(file).read_text().splitlines()
        self.packages |= {"fashion-jax": "0.1.0"} | self.installs

    def install(self) -> None:
        exec(compile(code_of(NOTEBOOKS[0])[0], "first cell", "exec"), {})


COLAB_PACKAGES = {
    "jax": "0.7.2",
    "protobuf": "5.29.6",
    "tensorflow_metadata": "1.21.0",
    "torch": "2.8.0+cu126",
    "system-package": "0.1.43ubuntu1",
}
DOWNGRADE = {"tensorflow_metadata": "1.17.2"}


def test_an_installed_package_is_used(monkeypatch):
    runtime = Runtime(monkeypatch, {"fashion_jax": "0.1.0"}, {})
    runtime.install()
    assert not runtime.command


def test_a_clone_comes_before_a_wheel_and_a_wheel_before_the_index(tmp_path, monkeypatch):
    folder = tmp_path / "clone" / "colab"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    sources = []
    for file, content in (
        (None, ""),
        (folder / "fashion_jax-0.1.0-py3-none-any.whl", ""),
        (tmp_path / "clone" / "pyproject.toml", 'name = "fashion-jax"'),
    ):
        if file:
            file.write_text(content)
        runtime = Runtime(monkeypatch, {"jax": "0.7.2"}, {})
        runtime.install()
        sources.append(runtime.command[-1])
        assert runtime.command[:4] == [sys.executable, "-m", "pip", "install"]
    wheel = str(folder / "fashion_jax-0.1.0-py3-none-any.whl")
    assert sources == ["fashion-jax", wheel, str(tmp_path / "clone")]


def test_colabs_contradiction_is_solved_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runtime = Runtime(monkeypatch, COLAB_PACKAGES, DOWNGRADE)
    runtime.install()
    assert runtime.constraints == ["jax==0.7.2", "protobuf==5.29.6", "torch==2.8.0+cu126"]
    assert runtime.command[-2:] == ["fashion-jax", "tensorflow-metadata==1.17.2"]
    told = capsys.readouterr().out
    assert "tensorflow-metadata changes from 1.21.0 to 1.17.2" in told
    assert "5.29.6" in told
    assert "TFX" in told
    assert "changed: tensorflow-metadata 1.21.0 -> 1.17.2" in told
    assert "ScaNN has no package" in told


def test_with_a_protobuf_that_fits_everything_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for other in ({"protobuf": "6.31.1"}, {"tensorflow_metadata": "1.17.2"}):
        runtime = Runtime(monkeypatch, COLAB_PACKAGES | other, {})
        runtime.install()
        assert runtime.command[-1] == "fashion-jax"
        assert any(line.startswith("tensorflow-metadata==") for line in runtime.constraints)


@pytest.mark.parametrize(("name", "version"), [("jax", "0.8.0"), ("protobuf", "6.31.1")])
def test_a_change_of_any_other_package_is_an_error(name, version, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runtime = Runtime(monkeypatch, COLAB_PACKAGES, DOWNGRADE | {name: version})
    with pytest.raises(RuntimeError, match=rf"changed packages of the runtime: \['{name}'\]"):
        runtime.install()


@marked
def test_first_search(tmp_path):
    client = run("01_first_search", tmp_path, DATASET_OPTIONS=TINY_DATASET, OVERRIDES=OVERRIDES)
    text = printed(client)
    assert "instance/mAP" in text
    assert "devices" in text
    assert "rank    score  photo" in text
    assert pictures(client) >= 3


@marked
def test_own_photos(tmp_path):
    drawn = TINY_DATASET | {"train_identities": 30}
    client = run("02_own_photos", tmp_path, DRAWN=drawn, OVERRIDES=OVERRIDES)
    text = printed(client)
    assert "rows in" in text
    assert "photos of catalogue in" in text
    assert "instance/mAP" in text
    assert "untrained" in text
    assert text.count("rank    score  photo") == 2
    new = text.rsplit("rank    score  photo", 1)[1].splitlines()[2]
    assert float(new.split()[1]) > 0.999  # an added photo finds itself
    assert "test-" in new
    assert pictures(client) >= 4


@marked
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


@marked
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
    assert "rank    score  photo" in text
    assert pictures(client) >= 3
    assert (tmp_path / "work" / "runs" / "street2shop_resnet50" / "checkpoints").is_dir()
    kept = tmp_path / "work" / "data" / "street2shop"
    assert [path.name for path in kept.parent.iterdir()] == ["street2shop"]


@marked
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
