"""Differences between versions of JAX and Flax, each with the versions it is for.

An entry can go once the lower bound in `pyproject.toml` has passed its versions.
"""

import jax

# flax < 0.12 keeps modules in plain lists; later versions refuse those and have `nnx.List`.
try:
    from flax.nnx import List as ModuleList
except ImportError:
    ModuleList = list  # type: ignore[assignment,misc]

# jax < 0.8 has it in `jax.experimental` alone, where later versions deprecate it.
try:
    enable_x64 = jax.enable_x64
except AttributeError:
    from jax.experimental import enable_x64  # type: ignore[attr-defined,no-redef]

__all__ = ["ModuleList", "enable_x64"]
