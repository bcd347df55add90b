"""A run's checkpoints, as readers see them: the best by validation mAP, its card, its weights."""

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import orbax.checkpoint as ocp
from etils import epath

from fashion_jax.addresses import address_of, is_address
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import LARGEST_JSON, StorageError, parse_json, read_file, require_utf8
from fashion_jax.inference.card import ModelCard, read_card

SELECTION_METRIC = "val/instance/mAP"
# Of a run on several datasets, each of which validation measures on its own.
MEAN_OF_DATASETS = "mean_of_datasets"
_METRICS = "metrics/metrics"  # Orbax's item and file
MIXTURE_SELECTION_METRIC = f"val/{MEAN_OF_DATASETS}/instance/mAP"


def selection_metric(metrics: Mapping[str, float]) -> str:
    """Name of the validation metric that selects the best checkpoint."""
    return MIXTURE_SELECTION_METRIC if MIXTURE_SELECTION_METRIC in metrics else SELECTION_METRIC


def selection(metrics: Mapping[str, float]) -> float:
    """Value of the validation metric that selects the best checkpoint."""
    return metrics[selection_metric(metrics)]


def checkpoints_folder(workdir: str | os.PathLike[str]) -> epath.Path:
    """Place of a run's checkpoints: in the workdir or, for a copy of gs://, at that address.

    Orbax reads and writes gs:// itself, each host of a job its own part; it knows no s3://.
    """
    address = address_of(workdir) or ""
    return epath.Path(address if address.startswith("gs://") else workdir) / "checkpoints"


def belongs_to_run(name: str) -> bool:
    """Whether a file of a workdir is needed to train, or to load its model."""
    return name.split("/", 1)[0] not in ("index", "export", "profile", "report")


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR


class DamagedCheckpointError(FashionJaxError):
    """A checkpoint that cannot be read, or of which bits have changed."""


class StoredCheckpoints:
    """The checkpoints in a folder; see `fashion_jax.training.checkpoints` for what they hold."""

    def __init__(self, directory: epath.PathLike, **options: Any) -> None:
        """Open the folder.

        Args:
            directory: `checkpoints` in a run's workdir.
            **options: options of Orbax's manager; by default it only reads.

        Raises:
            DamagedCheckpointError: the metrics of a checkpoint are damaged.
            StorageError: the folder's path is not UTF-8.
        """
        self.directory = epath.Path(directory)
        place = self.directory if is_address(self.directory) else self.directory.resolve()
        require_utf8(place)
        self._check_names()
        self._check_metrics()
        reading = {"read_only": True, "create": False, "cleanup_tmp_directories": False}
        handlers = {
            "model": ocp.StandardCheckpointHandler(),
            "learner": ocp.StandardCheckpointHandler(),
            "reader": ocp.JsonCheckpointHandler(),
            "checksums": ocp.JsonCheckpointHandler(),
            "card": ocp.JsonCheckpointHandler(),
        }
        # Orbax warns of every manager that only reads, as if that were a fault.
        absl_log = logging.getLogger("absl")
        absl_log.addFilter(_is_error)
        try:
            self.manager = ocp.CheckpointManager(
                place,
                item_handlers=handlers,
                options=ocp.CheckpointManagerOptions(
                    best_fn=selection,  # without it Orbax stores no metrics
                    best_mode="max",
                    **(options or reading),
                ),
            )
        finally:
            absl_log.removeFilter(_is_error)

    def latest_step(self) -> int | None:
        """The step to resume from; None for a run without a checkpoint."""
        return self.manager.latest_step()

    def best_step(self) -> int:
        """The step with the highest validation mAP, the latest of equals; else the last step.

        Raises:
            FashionJaxError: the run has no checkpoint.
        """
        latest, best = self.manager.latest_step(), self.manager.best_step()
        if latest is None:
            raise FashionJaxError(
                f"no checkpoint in {self.directory}: train first, or let the run get further"
            )
        return latest if best is None else best

    def restore_card(self, step: int) -> ModelCard:
        """Read the model card alone.

        Raises:
            ModelCardError: the card is damaged, or of another version.
        """
        with self.naming_damage(step):
            arguments = ocp.args.Composite(card=ocp.args.JsonRestore())
            card = read_card(self.manager.restore(step, args=arguments)["card"])
            if card.step != step:
                raise StorageError(f"its model card is of step {card.step}")
            return card

    def restore_model(self, step: int, sharding: jax.sharding.Sharding) -> dict[str, Any]:
        """Read `params` and `model_state` alone, whatever their shapes, onto these devices."""
        with self.naming_damage(step):
            stored = self.manager.item_metadata(step)["model"]
            abstract = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), stored
            )
            items = self.manager.restore(
                step, args=ocp.args.Composite(model=ocp.args.StandardRestore(abstract))
            )
            return _with_numbered_layers(items["model"])

    @contextlib.contextmanager
    def naming_damage(self, step: int) -> Iterator[None]:
        """Turn what goes wrong in reading a checkpoint into an error that names it and another.

        Raises:
            DamagedCheckpointError: something went wrong.
        """
        try:
            yield
        except Exception as error:  # Orbax raises whatever a damaged file leads it to
            others = [other for other in self._steps() if other != step]
            remedy = (
                f"Move that folder out of {self.directory} to use the checkpoint of step "
                f"{others[-1]}"
                if others
                else "There is no other checkpoint: restore the folder from a copy, or train again "
                "in another --workdir"
            )
            raise DamagedCheckpointError(
                f"the checkpoint in {self.directory / str(step)} is damaged: "
                f"{str(error).strip() or repr(error)}\n{remedy}."
            ) from error

    def _steps(self) -> list[int]:
        if not self.directory.is_dir():
            return []
        names = [path.name for path in self.directory.iterdir()]
        return sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name))

    def _check_names(self) -> None:
        """Refuse a renamed folder, which Orbax would take for a step and then not find."""
        if not self.directory.exists():
            return
        if not self.directory.is_dir():
            raise DamagedCheckpointError(f"{self.directory} is not a folder; move it away")
        for path in self.directory.iterdir():
            if re.fullmatch("-[0-9]+|0[0-9]+", path.name):
                raise DamagedCheckpointError(
                    f"{path} is not the name of a checkpoint: rename it to its step, or move it "
                    f"out of {self.directory}"
                )

    def _check_metrics(self) -> None:
        """Check the metrics of all checkpoints, which Orbax reads when it opens the folder."""
        for step in self._steps():
            path = self.directory / str(step) / _METRICS
            if path.exists():
                with self.naming_damage(step):
                    content = _content(path)
                    metrics = parse_json(
                        content, dict[str, float], None, str(path), any_number=True
                    )
                    if selection_metric(metrics) not in metrics:
                        raise StorageError(f"{path} has no {SELECTION_METRIC}")

    def metrics(self, step: int) -> dict[str, float]:
        """Validation metrics of a checkpoint; empty where it was not validated."""
        return dict(self.manager.metrics(step) or {})

    def close(self) -> None:
        """Wait until everything is written."""
        self.manager.close()


def _content(path: epath.Path) -> bytes:
    if is_address(path):
        return path.read_bytes()
    return read_file(path, LARGEST_JSON)


def _with_numbered_layers(tree: Any) -> Any:
    """Orbax stores the numbers of layers as text; the modules know them as numbers."""
    if not isinstance(tree, dict):
        return tree
    return {
        int(name) if str(name).isdigit() else name: _with_numbered_layers(part)
        for name, part in tree.items()
    }
