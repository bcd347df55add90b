"""Checkpoints with Orbax: the latest to resume from, the best by validation mAP to keep."""

import shutil
from collections.abc import Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint.checkpoint_managers import (
    AnyPreservationPolicy,
    BestN,
    LatestN,
)

from fashion_jax.errors import FashionJaxError
from fashion_jax.training.state import TrainState

SELECTION_METRIC = "val/instance/mAP"
# Of a run on several datasets, each of which validation measures on its own.
MEAN_OF_DATASETS = "mean_of_datasets"
JOINED_SELECTION_METRIC = f"val/{MEAN_OF_DATASETS}/instance/mAP"
# Old checkpoints are renamed away before they are deleted: a deletion that is interrupted
# leaves no half checkpoint under a step's name.
_TRASH = "deleted"


class Checkpoints:
    """The checkpoints of a run, written while training goes on.

    Each holds the `model` (parameters, running statistics), the `learner` (step, optimizer, what
    the losses keep, random key), the `reader` (where the data iterator stands) and the `card`.
    """

    def __init__(self, directory: epath.PathLike, read_only: bool = False) -> None:
        """Opens (and creates) the folder; what an interrupted run left half-written is removed."""
        self._directory = epath.Path(directory)
        self._read_only = read_only
        if not read_only:
            self._empty_trash()
        self._manager = ocp.CheckpointManager(
            self._directory.resolve() if "://" not in str(directory) else self._directory,
            item_handlers={
                "model": ocp.StandardCheckpointHandler(),
                "learner": ocp.StandardCheckpointHandler(),
                "reader": ocp.JsonCheckpointHandler(),
                "card": ocp.JsonCheckpointHandler(),
            },
            options=ocp.CheckpointManagerOptions(
                best_fn=_selection,  # without it Orbax stores no metrics
                best_mode="max",
                preservation_policy=AnyPreservationPolicy(
                    [
                        LatestN(n=1),
                        BestN(
                            get_metric_fn=_selection, n=1, keep_checkpoints_without_metrics=False
                        ),
                    ]
                ),
                todelete_subdir=None if read_only else _TRASH,
                cleanup_tmp_directories=not read_only,
                read_only=read_only,
                create=not read_only,
            ),
        )

    def save(
        self,
        state: TrainState,
        reader: Mapping[str, Any],
        card: Mapping[str, Any],
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Starts writing a checkpoint; the state may be donated as soon as this returns."""
        self._empty_trash()
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(_model(state)),
                learner=ocp.args.StandardSave(_learner(state)),
                reader=ocp.args.JsonSave(dict(reader)),
                card=ocp.args.JsonSave(dict(card)),
            ),
            metrics=None if metrics is None else dict(metrics),
        )

    def latest_step(self) -> int | None:
        """The step to resume from; None for a run without a checkpoint."""
        return self._manager.latest_step()

    def best_step(self) -> int:
        """The step with the highest validation mAP, the latest of equals; else the last step.

        Raises:
            FashionJaxError: if there is no checkpoint.
        """
        steps = sorted(self._manager.all_steps())
        if not steps:
            raise FashionJaxError(
                f"no checkpoint in {self._directory}: train first, or let the run get further"
            )
        scored = [
            (_selection(metrics), step)
            for step in steps
            if (metrics := self._manager.metrics(step)) is not None
        ]
        return max(scored)[1] if scored else steps[-1]

    def restore(self, step: int, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Reads a whole state, placed as `abstract` says, and the reader's position."""
        items = self._manager.restore(
            step,
            args=ocp.args.Composite(
                model=ocp.args.StandardRestore(_model(abstract)),
                learner=ocp.args.StandardRestore(_learner(abstract)),
                reader=ocp.args.JsonRestore(),
            ),
        )
        return _state(items["model"], items["learner"]), items["reader"]

    def restore_card(self, step: int) -> dict[str, Any]:
        """Reads the model card alone."""
        items = self._manager.restore(step, args=ocp.args.Composite(card=ocp.args.JsonRestore()))
        return items["card"]

    def restore_model(self, step: int, sharding: jax.sharding.Sharding) -> dict[str, Any]:
        """Reads `params` and `model_state` alone, whatever their shapes, onto these devices."""
        stored = self._manager.item_metadata(step)["model"]
        abstract = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), stored
        )
        items = self._manager.restore(
            step, args=ocp.args.Composite(model=ocp.args.StandardRestore(abstract))
        )
        return _with_numbered_layers(items["model"])

    def metrics(self, step: int) -> dict[str, float]:
        """What validation said of a checkpoint; empty where it was not asked."""
        return dict(self._manager.metrics(step) or {})

    def close(self) -> None:
        """Waits until everything is written."""
        self._manager.wait_until_finished()
        self._manager.close()
        if not self._read_only:
            self._empty_trash()

    def _empty_trash(self) -> None:
        trash = self._directory / _TRASH
        if jax.process_index() == 0 and trash.exists():
            for checkpoint in trash.iterdir():  # the folder itself stays: more is moved into it
                shutil.rmtree(checkpoint, ignore_errors=True)


def _with_numbered_layers(tree: Any) -> Any:
    """Orbax stores the numbers of layers as text; the modules know them as numbers."""
    if not isinstance(tree, dict):
        return tree
    return {
        int(name) if str(name).isdigit() else name: _with_numbered_layers(part)
        for name, part in tree.items()
    }


def selection_metric(metrics: Mapping[str, float]) -> str:
    """Name of the one of validation's metrics that the best checkpoint has most of."""
    return JOINED_SELECTION_METRIC if JOINED_SELECTION_METRIC in metrics else SELECTION_METRIC


def _selection(metrics: Mapping[str, float]) -> float:
    return metrics[selection_metric(metrics)]


def _model(state: TrainState) -> dict[str, Any]:
    """What embeds: the average of the weights, if the run keeps one."""
    return {"params": state.embedding_params, "model_state": state.embedding_model_state}


def _learner(state: TrainState) -> dict[str, Any]:
    learner = {
        "step": state.step,
        "optimizer_state": state.optimizer_state,
        "loss_state": state.loss_state,
        "rng": state.rng,
    }
    if state.average:
        learner["trained"] = {"params": state.params, "model_state": state.model_state}
    return {name: part for name, part in learner.items() if jax.tree.leaves(part)}


def _state(model: dict[str, Any], learner: dict[str, Any]) -> TrainState:
    """Undoes `_model` and `_learner`."""
    trained = learner.get("trained", model)
    return TrainState(
        step=learner["step"],
        params=trained["params"],
        model_state=trained["model_state"],
        optimizer_state=learner["optimizer_state"],
        loss_state=learner.get("loss_state", {}),
        average=model if "trained" in learner else {},
        rng=learner["rng"],
    )
