"""The page of the Python API: the public names of the package and of its rooms."""

import importlib
import inspect

# The root first. Of each, the names that its `__all__` makes public are shown.
PACKAGES = (
    "fashion_jax",
    "fashion_jax.config",
    "fashion_jax.datasets.corruptions",
    "fashion_jax.losses",
    "fashion_jax.models.backbones",
    "fashion_jax.optim",
    "fashion_jax.retrieval.catalogue",
)

# Beyond that: what a user derives from, passes in or gets back.
FURTHER = {
    "Datasets of your own": (
        "fashion_jax.datasets.building.base.RetrievalBuilder",
        "fashion_jax.datasets.building.plan.BuildPlan",
        "fashion_jax.datasets.building.plan.PlannedItem",
        "fashion_jax.datasets.building.plan.choose_validation",
        "fashion_jax.datasets.building.base.BuildOptions",
        "fashion_jax.datasets.dataset.Dataset",
        "fashion_jax.datasets.dataset.Split",
    ),
    "Results": (
        "fashion_jax.metrics.measure.RetrievalMetrics",
        "fashion_jax.metrics.ranking.Ranking",
        "fashion_jax.evaluation.result.Evaluation",
        "fashion_jax.datasets.duplicates.result.Duplicates",
        "fashion_jax.datasets.duplicates.limits.Limits",
        "fashion_jax.training.state.TrainState",
        "fashion_jax.training.learner.Learner",
    ),
}

_HEAD = """\
# Python API

The public names, from their docstrings. [The Python API by example](../python.md) shows them
at work.
"""


def python_page() -> str:
    """Return the page in Markdown: one section per package, each name where it first appears."""
    parts, shown = [_HEAD], set[str]()
    for package in PACKAGES:
        paths = [path for path in public_names(package).values() if path not in shown]
        shown.update(paths)
        if paths:
            summary = (inspect.getdoc(importlib.import_module(package)) or "").split("\n")[0]
            parts += [f"## {package}\n\n{summary}\n", *(f"::: {path}\n" for path in paths)]
    for title, others in FURTHER.items():
        parts += [f"## {title}\n", *(f"::: {path}\n" for path in others if path not in shown)]
    return "\n".join(parts)


def public_names(package: str) -> dict[str, str]:
    """Functions and classes of a package's `__all__`, each with the path of its definition.

    Constants have no such path, and modules have their own sections: both are left out.
    """
    module = importlib.import_module(package)
    values = {name: getattr(module, name) for name in getattr(module, "__all__", ())}
    return {
        name: f"{value.__module__}.{value.__qualname__}"
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }
