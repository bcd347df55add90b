"""The notebooks match their scripts, and their first cell installs what the runtime lacks."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys
import types

import jupytext
import pytest

COLAB = pathlib.Path(__file__).parents[1] / "colab"
NOTEBOOKS = sorted(COLAB.glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_of(path: pathlib.Path) -> list[str]:
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]


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
