"""Strictness for every test, and the way to the shared reference material."""

import os
import pathlib

# Eight virtual CPU devices for the mesh tests; must be set before jax starts its backend.
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")

import jax
import pytest
from jaxtyping import install_import_hook

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Shapes and dtypes in signatures are checked here, and only here.
_hook = install_import_hook("fashion_jax", "beartype.beartype")


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder with golden numbers and real photos; tests that need it skip without it."""
    folder = pathlib.Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "goldens").is_dir():
        pytest.skip(f"SKIPPED FOR WANT OF DATA: no goldens/ in {folder}")
    return folder
