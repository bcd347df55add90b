"""Differences between versions of JAX and Flax, each with the versions it is for.

An entry can go once the lower bound in `pyproject.toml` has passed its versions.
"""

import jax

# flax 0.11.2 keeps modules in plain lists; 0.12.8 refuses those and has `nnx.List`.
try:
    from flax.nnx import List as ModuleList
except ImportError:
    ModuleList = list  # type: ignore[assignment,misc]

# jax 0.7.2 has it only in `jax.experimental`; 0.10.2 has it as `jax.enable_x64`.
try:
    enable_x64 = jax.enable_x64
except AttributeError:
    from jax.experimental import enable_x64  # type: ignore[attr-defined,no-redef]

__all__ = ["ModuleList", "enable_x64"]
