"""The tests on several stacks: `nox` runs all of them, `nox -s oldest` one.

default  the Python of the checkout, and the packages that pip chooses
oldest   Google Colab's runtime: Python 3.13 and its package list as constraints
newest   the newest Python that is here, and the newest version of everything

A session runs the tests that are not marked slow; `nox -s newest -- --all` runs every test.
Interpreters are looked for on PATH and among pyenv's; a stack without one is skipped.
"""

import os
import pathlib
import shutil
import subprocess
import sys

import nox

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
COLAB = "tests/stacks/colab.txt"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "protobuf")
# What the tests need, without the linters and the documentation's tools.
TEST_TOOLS = (
    "beartype", "hypothesis", "ipykernel", "jupytext", "mkdocs", "mkdocs-material",
    "mkdocstrings[python]", "nbclient", "pymilvus", "pytest", "pytest-xdist", "setuptools", "wheel",
)  # fmt: skip

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
    flags += [] if "--all" in session.posargs else ["-m", "not slow"]
    session.run("python", "-m", "pytest", *flags)


@nox.session(python=sys.executable)
def default(session: nox.Session) -> None:
    """The Python of the checkout, and what pip chooses."""
    session.install("--editable", ".[dev]")
    check(session)


@nox.session(python=FOUND.get("3.13", "3.13"))
def oldest(session: nox.Session) -> None:
    """The lower bounds: Colab's runtime."""
    session.install("--editable", ".", "--constraint", COLAB)
    session.install(*TEST_TOOLS, "--constraint", COLAB)
    check(session)


@nox.session(python=FOUND[max(FOUND)] if FOUND else PYTHONS[-1])
def newest(session: nox.Session) -> None:
    """The newest Python that is here, and the newest version of everything."""
    session.install("--upgrade", "--upgrade-strategy=eager", "--editable", ".[dev]")
    check(session)
