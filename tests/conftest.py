"""Strictness for every test, and the way to the shared reference material."""

import atexit
import collections
import contextlib
import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile
import typing
from collections.abc import Generator

from tests.xla_flags import xla_flags

# Eight virtual CPU devices for the mesh tests; must be set before jax starts its backend.
os.environ.setdefault("XLA_FLAGS", xla_flags(8))
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
# One cache of compiled programs for all workers, and for the commands that tests start.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="compiled-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import jax
import pytest
from jaxtyping import install_import_hook

import tests.numeric_tower  # noqa: F401  (jaxtyping's hook looks it up and does not import it)

# First imported in a test with `capsys`, pymilvus was seen to break the capturing of all tests
# after it in that process ("I/O operation on closed file").
with contextlib.suppress(ImportError):
    import pymilvus  # noqa: F401

# A network that compiles at once; commands and other processes find it as they find one that a
# package has installed.
_installed = pathlib.Path(tempfile.mkdtemp(prefix="installed-"))
atexit.register(shutil.rmtree, _installed, ignore_errors=True)
_entries = _installed / "tiny_backbone-1.dist-info" / "entry_points.txt"
_entries.parent.mkdir()
_entries.write_text("[fashion_jax.backbones]\ntiny = tests.models.backbones.tiny:TINY\n")
sys.path.append(str(_installed))
_paths = [str(_installed), str(pathlib.Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _paths))

if typing.TYPE_CHECKING:
    from fashion_jax.config import ExperimentConfig

TINY_DATASET = {"train_identities": 12, "val_identities": 3, "test_identities": 4, "distractors": 2}

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Shapes and dtypes in signatures are checked here, and only here.
_hook = install_import_hook("fashion_jax", "beartype.beartype")
# Builders read numbers out of lists: there a whole number is a number, as PEP 484 has it.
_builders = ["fashion_jax.data_builders", "fashion_jax.datasets.building"]
_builders_hook = install_import_hook(_builders, "tests.numeric_tower.typecheck")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most slow tests first: begun last, one would leave the other worker idle."""
    slow = collections.Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


def _skip_without_scann(error: BaseException) -> None:
    if importlib.util.find_spec("scann") is None and "ScaNN cannot be imported" in str(error):
        pytest.skip("SKIPPED FOR WANT OF SCANN: it has no wheel for this system or Python")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    """Skip what needs ScaNN where it has no wheel; marked where the fallback would answer."""
    if item.get_closest_marker("scann"):
        pytest.importorskip("scann", reason="SKIPPED FOR WANT OF SCANN: it has no wheel here")
    try:
        return (yield)
    except Exception as error:
        _skip_without_scann(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip a test that finds out only while it runs that ScaNN is missing."""
    try:
        return (yield)
    except Exception as error:
        _skip_without_scann(error)
        raise


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder with golden numbers and real photos; tests that need it skip without it."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "goldens").is_dir():
        pytest.skip(f"SKIPPED FOR WANT OF DATA: no goldens/ in {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_data_dir(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A data_dir with a small build of the synthetic dataset."""
    from fashion_jax.datasets.building.build import build

    data_dir = tmp_path_factory.mktemp("data")
    build("synthetic_street2shop", data_dir, progress=False, **TINY_DATASET)
    return data_dir


@pytest.fixture(scope="session")
def tiny_config(tiny_data_dir: pathlib.Path) -> "ExperimentConfig":
    """A run of seconds on the tiny dataset."""
    from fashion_jax.config import from_nested_dict

    return from_nested_dict(
        {
            "data": {
                "dataset": "synthetic_street2shop",
                "data_dir": str(tiny_data_dir),
                "identities_per_batch": 4,
                "photos_per_identity": 2,
            },
            "image": {"height": 32, "width": 32},
            "model": {"backbone": "tiny"},
            "training": {"epochs": 2, "log_every_steps": 1, "checkpoint_every_steps": 1},
            "mesh": {"data": 1},
            "evaluation": {"batch_size": 16},
        }
    )


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A tiny raw copy of Street2Shop with the known defects."""
    from tests.dummy_data.street2shop import write_dummy_data

    folder = tmp_path_factory.mktemp("raw") / "street2shop"
    write_dummy_data(folder)
    return folder


@pytest.fixture(scope="session")
def built(
    raw: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pathlib.Path, typing.Any]:
    """The data_dir that `raw` was built into, and the report."""
    from fashion_jax.datasets.building.build import build

    data_dir = tmp_path_factory.mktemp("data")
    return data_dir, build("street2shop", data_dir, raw, progress=False)


@pytest.fixture(scope="session")
def records(built: tuple[pathlib.Path, typing.Any]) -> dict[str, list[typing.Any]]:
    """Record of all splits of `built`."""
    from tests.data_builders.built_records import read_all

    return read_all(built[0], "street2shop")


@pytest.fixture
def read_records() -> typing.Callable[[pathlib.Path, str], list[typing.Any]]:
    """Read a split of street2shop in a data_dir."""
    from tests.data_builders.built_records import read_split

    return lambda data_dir, split: read_split(data_dir / "street2shop" / "1.0.0", split)
