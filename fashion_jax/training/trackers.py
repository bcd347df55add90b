"""A run's numbers in Weights & Biases or MLflow, as they come."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax

from fashion_jax.addresses import at_addresses
from fashion_jax.config import ExperimentConfig, to_nested_dict
from fashion_jax.errors import FashionJaxError, needs_extra
from fashion_jax.files import atomic_write, read_file
from fashion_jax.inference.checkpoints import belongs_to_run
from fashion_jax.similar_names import did_you_mean
from fashion_jax.training.metrics_log import OwnLog

TRACKED_AS = "tracked_as.txt"
"""File in a workdir with the tracker's name of the run, under which a resumed run goes on."""


@at_addresses("workdir", wanted=belongs_to_run)
def open_tracker(
    text: str, config: ExperimentConfig, workdir: str | os.PathLike[str]
) -> OwnLog | None:
    """Open a tracker for `train(log=...)`; a resumed run goes on under its name.

    Args:
        text: `wandb:PROJECT` or `mlflow:EXPERIMENT`.
        config: stored with the run.
        workdir: folder of the run, whose name the run gets.

    Returns:
        The log; `None` on hosts that write none.

    Raises:
        FashionJaxError: an unknown tracker, or its package is not installed.
    """
    kind, _, project = text.partition(":")
    if kind not in _OPENERS or not project:
        raise FashionJaxError(
            f"{text!r} is no tracker; write {' or '.join(f'{each}:PROJECT' for each in _OPENERS)}"
            f"{did_you_mean(kind, _OPENERS)}"
        )
    if jax.process_index() > 0:
        return None
    place = pathlib.Path(workdir)
    place.mkdir(parents=True, exist_ok=True)
    known = place / TRACKED_AS
    known_as = read_file(known, 1000).decode().strip() if known.exists() else None
    fields = {
        f"{section}.{name}": value
        for section, values in to_nested_dict(config).items()
        for name, value in values.items()
    }
    name, log = _OPENERS[kind](project, place, known_as, fields)
    atomic_write(known, f"{name}\n".encode())
    return log


def _open_wandb(
    project: str, workdir: pathlib.Path, known_as: str | None, fields: dict[str, Any]
) -> tuple[str, OwnLog]:
    with needs_extra("wandb"):
        import wandb
    run = wandb.init(
        project=project,
        dir=str(workdir),
        name=workdir.absolute().name,
        id=known_as,
        resume="allow",
        config=fields,
    )
    return run.id, lambda step, values: run.log(dict(values), step=step)


def _open_mlflow(
    project: str, workdir: pathlib.Path, known_as: str | None, fields: dict[str, Any]
) -> tuple[str, OwnLog]:
    with needs_extra("mlflow"):
        import mlflow
    mlflow.set_experiment(project)
    run = mlflow.start_run(run_id=known_as, run_name=workdir.absolute().name)
    if known_as is None:
        mlflow.log_params(fields)

    def log(step: int, values: Any) -> None:
        # Its names know slashes, and its values numbers alone.
        mlflow.log_metrics({name: float(value) for name, value in values.items()}, step=step)

    return run.info.run_id, log


_OPENERS: dict[str, Callable[..., tuple[str, OwnLog]]] = {
    "wandb": _open_wandb,
    "mlflow": _open_mlflow,
}
