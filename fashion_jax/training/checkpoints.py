"""Checkpoints with Orbax: the latest to resume from, the best by validation mAP to keep."""

import contextlib
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

from fashion_jax.errors import FashionJaxError, named
from fashion_jax.files import check_values
from fashion_jax.inference.card import ModelCard
from fashion_jax.inference.checkpoints import StoredCheckpoints, selection
from fashion_jax.training.checksums import checksums
from fashion_jax.training.state import TrainState

# Old checkpoints are renamed away before they are deleted: a deletion that is interrupted
# leaves no half checkpoint under a step's name.
_TRASH = "deleted"


class Checkpoints(StoredCheckpoints):
    """The checkpoints of a run, written while training continues.

    Each holds the `model` (parameters, running statistics), the `learner` (step, optimizer, what
    the losses keep, random key), the `reader` (where the data iterator stands), the `card`, and
    the `checksums` of all arrays.
    """

    def __init__(self, directory: epath.PathLike) -> None:
        """Open (and create) the folder; what an interrupted run left half-written is removed."""
        self._trash = epath.Path(directory) / _TRASH
        self._empty_trash()
        best = BestN(get_metric_fn=selection, n=1, keep_checkpoints_without_metrics=False)
        super().__init__(
            directory,
            preservation_policy=AnyPreservationPolicy([LatestN(n=1), best]),
            todelete_subdir=_TRASH,
            cleanup_tmp_directories=True,
            create=True,
        )

    def save(
        self,
        state: TrainState,
        reader: Mapping[str, Any],
        card: ModelCard,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Start writing a checkpoint; the state may be donated as soon as this returns."""
        self._empty_trash()
        self.manager.save(
            int(state.step),
            args=ocp.args.Composite(
                model=ocp.args.StandardSave(_model(state)),
                learner=ocp.args.StandardSave(_learner(state)),
                reader=ocp.args.JsonSave(dict(reader)),
                card=ocp.args.JsonSave(card.to_dict()),
                checksums=ocp.args.JsonSave(checksums(_parts(state))),
            ),
            metrics=None if metrics is None else dict(metrics),
        )

    def restore(self, step: int, abstract: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Read a whole state, placed as `abstract` says, and the reader's position.

        Raises:
            DamagedCheckpointError: it cannot be read, or is not what was saved.
        """
        arguments = ocp.args.Composite(
            model=ocp.args.StandardRestore(_model(abstract)),
            learner=ocp.args.StandardRestore(_learner(abstract)),
            reader=ocp.args.JsonRestore(),
            checksums=ocp.args.JsonRestore(),
        )
        with self.naming_damage(step):
            items = self.manager.restore(step, args=arguments)
            state = _state(items["model"], items["learner"])
            _require_checksums(items["checksums"], checksums(_parts(state)))
            reader = check_values(items["reader"], dict[str, Any], "its reader")
        return state, reader

    def wait(self) -> None:
        """Wait until everything that was saved is written."""
        self.manager.wait_until_finished()

    def close(self) -> None:
        """Wait until everything is written."""
        super().close()
        self._empty_trash()

    def _empty_trash(self) -> None:
        if jax.process_index() == 0 and self._trash.exists():
            for checkpoint in self._trash.iterdir():  # the folder stays: more is moved into it
                with contextlib.suppress(OSError):
                    checkpoint.rmtree()


def _model(state: TrainState) -> dict[str, Any]:
    """Return the weights that embed: their average, if the run keeps one."""
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


def _parts(state: TrainState) -> dict[str, Any]:
    return {"model": _model(state), "learner": _learner(state)}


def _require_checksums(stored: Mapping[str, int], found: Mapping[str, int]) -> None:
    differing = [name for name in {**stored, **found} if stored.get(name) != found.get(name)]
    if differing:
        names = named(differing)
        raise FashionJaxError(f"arrays that are not as they were saved ({len(differing)}): {names}")


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
