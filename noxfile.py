"""The tests on several stacks: `nox` runs all of them, `nox -s oldest` one.

default  the Python of the checkout, and the packages that pip chooses
oldest   Google Colab's runtime: Python 3.13 and its package list as constraints
newest   the newest Python that is here, and the newest version of everything
wheel    nothing but the wheel in an empty environment, where a small demo runs outside the checkout
beam     builds with Apache Beam, which holds protobuf below what `default` has
colab    the notebooks on the packages of each of Colab's runtimes (CPU, GPU, TPU), where their
         first cell installs the wheel that lies beside them

The first three run the quick tests (`make test-quick`); `-- --all` runs those of `make test`.
Interpreters are looked for on PATH and among pyenv's; a stack without one is skipped.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
COLAB = "tests/stacks/colab.txt"
RUNTIMES = {
    "cpu": ("-r", COLAB),
    "gpu": ("-r", COLAB, "torch==2.11.0"),
    "tpu": ("-r", "tests/stacks/colab-tpu.txt"),
}
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "protobuf")
# What the tests need, without the linters and the documentation's tools.
TEST_TOOLS = (
    "beartype", "httpx2", "hypothesis", "ipykernel", "jupytext", "milvus-lite", "mkdocs",
    "mkdocs-material", "mkdocstrings[python]", "nbclient", "pymilvus", "pytest", "pytest-xdist",
    "setuptools", "wheel",
)  # fmt: skip

SMALL_DEMO = """
import fashion_jax as fj
from fashion_jax.experiments.demo import run_demo

small = {"data.identities_per_batch": 4, "image.height": 32, "image.width": 32}
small |= {"training.epochs": 1, "evaluation.batch_size": 16}
products = {"train_identities": 12, "val_identities": 3, "test_identities": 4, "distractors": 2}
print(run_demo(fj.load_config("demo", small), "run", "report", **products).to_table())
"""

FIRST_CELL = """
import sys, jupytext
print(sys.version)
cells = [cell.source for cell in jupytext.read(sys.argv[1]).cells if cell.cell_type == "code"]
exec(cells[0])
"""

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False


def interpreter(version: str) -> str | None:
    """The path of a Python of that version that starts, if there is one."""
    root = pathlib.Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    found = [shutil.which(f"python{version}"), *root.glob(f"versions/{version}.*/bin/python")]
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in filter(None, found):
        ran = subprocess.run([path, "-c", code], capture_output=True, text=True)
        if ran.stdout.strip() == version:  # pyenv's shims exist for versions that are not active
            return str(path)
    return None


FOUND = {version: path for version in PYTHONS if (path := interpreter(version))}


def check(session: nox.Session) -> None:
    """Print the stack, then run the tests on it."""
    versions = "; ".join(f"print({name!r}, metadata.version({name!r}))" for name in PACKAGES)
    code = f"import sys; from importlib import metadata; print(sys.version); {versions}"
    session.run("python", "-c", code)
    flags = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"]
    flags += [] if "--all" in session.posargs else ["-m", "not slow and not exhaustive"]
    session.run("python", "-m", "pytest", *flags)


@nox.session(python=sys.executable)
def default(session: nox.Session) -> None:
    """The Python of the checkout, and what pip chooses."""
    session.install("--editable", ".[dev]")
    check(session)


@nox.session(python=FOUND.get("3.13", "3.13"))
def oldest(session: nox.Session) -> None:
    """The lower bounds: Colab's runtime."""
    session.install("--editable", ".[download,serve]", "--constraint", COLAB)
    session.install(*TEST_TOOLS, "--constraint", COLAB)
    check(session)


@nox.session(python=FOUND[max(FOUND)] if FOUND else PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The newest Python that is here, and the newest version of everything."""
    session.install("--upgrade", "--upgrade-strategy=eager", "--editable", ".[dev]")
    check(session)


@nox.session(python=sys.executable)
def wheel(session: nox.Session) -> None:
    """The wheel in an empty environment: it brings all that a small demo needs."""
    with tempfile.TemporaryDirectory() as folder:
        session.install(build_wheel(session, folder))
        session.chdir(folder)
        session.run("python", "-c", SMALL_DEMO)


@nox.session(python=sys.executable)
def beam(session: nox.Session) -> None:
    """Builds with Apache Beam, beside those without it."""
    session.install("--editable", ".[beam,s3]", "flask", "flask-cors", "moto[s3]", *TEST_TOOLS)
    files = ("tests/datasets/building/test_beam.py", "tests/data_builders/test_contract.py")
    session.run("python", "-m", "pytest", "-n", "2", "-m", "", "-k", "beam", *files)


@nox.session(python=FOUND.get("3.13", "3.13"))
@nox.parametrize("runtime", list(RUNTIMES))
def colab(session: nox.Session, runtime: str) -> None:
    """The notebooks where Colab runs them, but for the accelerator."""
    listed = pathlib.Path(RUNTIMES[runtime][1]).absolute()
    session.install(*RUNTIMES[runtime], *TEST_TOOLS, "--constraint", str(listed))
    # The runtime's list contradicts itself: pip does not install this version beside its protobuf.
    session.install("--no-deps", "tensorflow-metadata==1.21.0")
    root = pathlib.Path().absolute()
    with tempfile.TemporaryDirectory() as folder:
        build_wheel(session, folder)
        session.chdir(folder)
        session.run("python", "-c", FIRST_CELL, str(root / "colab/01_first_search.ipynb"))
        # Away from the checkout, whose packages would be imported in the place of the wheel's.
        for copied in ("tests", "colab"):
            shutil.copytree(root / copied, copied)
        shutil.copy(root / "pyproject.toml", ".")
        session.run(
            "python", "-m", "pytest", "-m", "", "tests/test_colab.py", "tests/test_colab_runs.py"
        )


def build_wheel(session: nox.Session, folder: str) -> str:
    """Build the wheel into an empty folder and return its path."""
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", f"-w{folder}", ".")
    (path,) = pathlib.Path(folder).glob("*.whl")
    return str(path)
