"""The page of the Python API: the public names of the package and of its rooms."""

import importlib
import inspect
from collections.abc import Iterator
from typing import Any

# The root first; of the others those names that their `__all__` makes public.
PACKAGES = (
    "fashion_jax",
    "fashion_jax.config",
    "fashion_jax.losses",
    "fashion_jax.optim",
    "fashion_jax.datasets.corruptions",
    "fashion_jax.retrieval.catalogue",
)

_HEAD = """\
# Python API

The public names, from their docstrings. [The Python API in six snippets](../python.md) shows them
at work.
"""


def python_page() -> str:
    """Returns the page in Markdown: one section a package, one entry a public name."""
    parts = [_HEAD]
    for package in PACKAGES:
        names = public_names(package)
        if not names:
            continue
        summary = (inspect.getdoc(importlib.import_module(package)) or "").split("\n")[0]
        parts.append(f"## {package}\n\n{summary}\n")
        parts += [f"::: {path}\n" for path in names.values()]
    return "\n".join(parts)


def public_names(package: str) -> dict[str, str]:
    """Names of a package's `__all__`, each with the path of what it is defined as.

    Plain values (constants) have no path of their own, and are left out.
    """
    module = importlib.import_module(package)
    return dict(_defined(module, getattr(module, "__all__", ())))


def _defined(module: Any, names: Any) -> Iterator[tuple[str, str]]:
    for name in names:
        value = getattr(module, name)
        if inspect.ismodule(value):
            yield name, value.__name__
        elif hasattr(value, "__qualname__") and hasattr(value, "__module__"):
            yield name, f"{value.__module__}.{value.__qualname__}"
