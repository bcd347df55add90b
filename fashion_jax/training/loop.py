"""The training loop: batches in, checkpoints and numbers out."""

import dataclasses
import json
import logging
import math
import pathlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from typing import Annotated, Any

import jax
import msgspec
from jax.sharding import Mesh
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from fashion_jax.addresses import address_of, at_addresses, is_address, publish
from fashion_jax.config import (
    CONFIG_FILE,
    ConfigError,
    ExperimentConfig,
    differences,
    read_stored_config,
    store_config,
    to_nested_dict,
)
from fashion_jax.datasets.dataset import Dataset, open_dataset
from fashion_jax.datasets.duplicates.decisions import Decision, read_decisions
from fashion_jax.datasets.labelled_pairs import pairs_sha256
from fashion_jax.datasets.loader import OwnAugmentation, TrainingBatches, iterate
from fashion_jax.datasets.mixture import DatasetMixture, MixtureSplit
from fashion_jax.datasets.trained_on import store_trained_on, train_sha256
from fashion_jax.errors import FashionJaxError, PreemptedError
from fashion_jax.files import atomic_write, check_values, read_json
from fashion_jax.inference.card import require_train_sha256
from fashion_jax.inference.checkpoints import (
    belongs_to_run,
    checkpoints_folder,
    selection_metric,
)
from fashion_jax.inference.weights.origin import WeightsOrigin, weights_origin
from fashion_jax.losses import Objective, ObjectiveLike
from fashion_jax.parallel.agreement import require_agreement, versions
from fashion_jax.parallel.hosts import check_batch_size, global_batch, sole_job, this_host
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.checkpoints import Checkpoints
from fashion_jax.training.checks import check_datasets, check_resources
from fashion_jax.training.collapse import CollapseMonitor
from fashion_jax.training.device_use import DeviceUse
from fashion_jax.training.goodput import Stopwatch
from fashion_jax.training.learner import Learner, check_objective, make_learner
from fashion_jax.training.metrics_log import MetricsLog, OwnLog, read_metrics
from fashion_jax.training.preemption import Preemption
from fashion_jax.training.profile import Profiler, Steps
from fashion_jax.training.state import TrainState
from fashion_jax.training.validation import model_of, validate

logger = logging.getLogger(__name__)

OBJECTIVE_FILE = "objective.json"
LOCK_FILE = ".train.lock"

# Fields that may change when a run is resumed: they change no number.
_FREE_FIELDS = (
    "data.data_dir",
    "data.workers",
    "data.threads",
    "augment.on_device",
    "mesh.",
    "training.log_every",
)


class NonFiniteLossError(FashionJaxError):
    """A loss became NaN or infinite."""


@dataclasses.dataclass(frozen=True)
class DataIteratorState:
    """Position of the data iterator: saved with each checkpoint, checked when it is restored.

    A batch is a pure function of (seed, step), so that a position fits any number of hosts and
    workers; `dataset` (or datasets) and `plan` say what it is a position in.
    """

    next_step: Annotated[int, msgspec.Meta(ge=0)]
    dataset: dict[str, Any]
    plan: dict[str, Any]


@dataclasses.dataclass
class Run:
    """A run in progress: what `train` hands around."""

    config: ExperimentConfig
    workdir: pathlib.Path
    datasets: Sequence[Dataset]
    train_sha256: str
    plan: DatasetMixture
    learner: Learner
    checkpoints: Checkpoints
    log: MetricsLog
    progress: bool
    origin: WeightsOrigin
    monitor: CollapseMonitor
    stopwatch: Stopwatch
    profiler: Profiler
    device_use: DeviceUse
    augment: OwnAugmentation | None = None
    pending: list[tuple[int, dict[str, jax.Array]]] = dataclasses.field(default_factory=list)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.config.training.epochs * self.plan.steps_per_epoch

    @property
    def photos_per_step(self) -> int:
        """Photos of a batch, over all hosts."""
        return self.config.data.identities_per_batch * self.config.data.photos_per_identity


@at_addresses("workdir", wanted=belongs_to_run)
def train(
    config: ExperimentConfig,
    workdir: str | pathlib.Path,
    mesh: Mesh | None = None,
    progress: bool = True,
    objective: ObjectiveLike | None = None,
    augment: OwnAugmentation | None = None,
    datasets: Sequence[Dataset] | None = None,
    log: OwnLog | None = None,
    profile: tuple[int, int] | None = None,
) -> TrainState:
    """Train, or resume an interrupted run to bit-identical weights.

    Args:
        config: stored as `config.json` in the workdir.
        workdir: folder for `checkpoints/`, `metrics.jsonl` and TensorBoard events.
        mesh: devices; by default those that `config.mesh` asks for.
        progress: whether to show a bar.
        objective: the total to minimise, in place of the one that the config describes; for
            terms on top of the config's, `Objective.from_config(config, extra_terms)`. Its
            class and weights are stored as `objective.json`; a run resumes with the same ones.
        augment: `(image, random generator) -> image` of your own, applied to each resized image
            before the config's augmentations; see `TrainingBatches`.
        datasets: datasets to train on; by default the built ones that `config.data` names. Their
            names replace those of the config, in `config.json` as well.
        log: `(step, values)`, called with each line of `metrics.jsonl` on the host that writes it:
            an experiment tracker's `log`, for instance. After a resume, steps that were logged
            after the restored checkpoint come again.
        profile: first and last step of a trace for XProf, written to `profile/` in the workdir.

    Returns:
        The last state.

    Raises:
        InUseError: if another process is training in the workdir.
        ConfigError: if the workdir holds a run of another config or objective.
        FashionJaxError: if the run would fail later; see `fashion_jax.training.checks`.
        NonFiniteLossError: if a loss becomes NaN or infinite.
        PreemptedError: if SIGTERM asked for the end; the step is saved, and a resume goes on there.
        ValueError: if the objective lacks a method of `ObjectiveLike`.
    """
    workdir = pathlib.Path(workdir)
    if datasets is not None:
        config = _with_datasets(config, [dataset.name for dataset in datasets])
    objective = Objective.from_config(config) if objective is None else objective
    check_objective(objective)
    _require_shared(workdir)
    with sole_training(workdir):
        _claim(workdir, config, objective)
        profiler = Profiler(workdir, None if profile is None else Steps(*profile))
        return _train(config, workdir, mesh, progress, objective, augment, datasets, log, profiler)


def _train(
    config: ExperimentConfig,
    workdir: pathlib.Path,
    mesh: Mesh | None,
    progress: bool,
    objective: ObjectiveLike,
    augment: OwnAugmentation | None,
    datasets: Sequence[Dataset] | None,
    log: OwnLog | None,
    profiler: Profiler,
) -> TrainState:
    """`train` in a workdir that is this job's."""
    begin = time.perf_counter()
    mesh = make_mesh(config.mesh) if mesh is None else mesh
    if datasets is None:
        datasets = [open_dataset(name, config.data.data_dir) for name in config.data.datasets]
    require_agreement(
        {
            **_common_fields(config),
            "training data": train_sha256(datasets),
            "labelled pairs": pairs_sha256(_labelled_pairs(config)),
            **versions(),
        }
    )
    check_datasets(config, datasets)
    plan = make_plan(config, datasets)
    if config.data.labelled_pairs:
        for name, pairs in plan.pairs.items():
            logger.info("labelled pairs in %s: %s", name, pairs)
    check_batch_size(
        config.data.identities_per_batch * config.data.photos_per_identity,
        mesh,
        "data.identities_per_batch × data.photos_per_identity",
    )
    check_batch_size(config.evaluation.batch_size, mesh, "evaluation.batch_size")
    learner = make_learner(
        config, plan.num_identities, plan.steps_per_epoch, mesh, objective=objective
    )
    check_resources(workdir, learner)
    logger.info(describe_batch_norm_scope(config))
    with closing(Checkpoints(checkpoints_folder(workdir))) as checkpoints:
        state, start = _first_or_latest(
            checkpoints, learner, _iterator_state(config, datasets, plan, 0)
        )
        content = train_sha256(datasets)
        origin = _origin(checkpoints, config, content)
        if jax.process_index() == 0:
            store_trained_on(workdir, datasets)
        stopwatch = Stopwatch(workdir, start, jax.process_index() == 0, begin)
        metrics_log = MetricsLog(workdir, start, jax.process_index() == 0, log)
        monitor = CollapseMonitor(config.loss)
        run = Run(
            config,
            workdir,
            datasets,
            content,
            plan,
            learner,
            checkpoints,
            metrics_log,
            progress,
            origin,
            monitor,
            stopwatch,
            profiler,
            DeviceUse(learner),
            augment,
        )
        with closing(metrics_log), closing(stopwatch), closing(profiler):
            state = _steps(run, state, start)
        best = checkpoints.best_step()
        logger.info("%s", stopwatch.spent)
        logger.info("finished after step %d; best checkpoint: step %d", int(state.step), best)
        return state


def _require_shared(workdir: pathlib.Path) -> None:
    """Refuse a job of several hosts whose checkpoints no host but the first would see."""
    address = address_of(workdir)
    if jax.process_count() > 1 and address and not is_address(checkpoints_folder(workdir)):
        raise FashionJaxError(
            f"{address}: jobs of several hosts write checkpoints together, which works at gs:// "
            "and on a disk that all hosts see; choose such a --workdir"
        )


def sole_training(workdir: pathlib.Path) -> AbstractContextManager[None]:
    """Keep other jobs from writing a run; held from before the first file is written.

    Raises:
        InUseError: another job is training this run.
    """
    return sole_job(workdir / LOCK_FILE, f"training the run in {workdir.resolve()}")


def _with_datasets(config: ExperimentConfig, names: Sequence[str]) -> ExperimentConfig:
    """Put the names of the given datasets into the config, in place of its own."""
    if not names:
        raise ConfigError("`datasets` is empty; give at least one, or None for those of the config")
    data = dataclasses.replace(config.data, dataset=names[0], extra_datasets=tuple(names[1:]))
    return dataclasses.replace(config, data=data)


def make_plan(config: ExperimentConfig, datasets: Sequence[Dataset]) -> DatasetMixture:
    """The plan of a run's batches."""
    return DatasetMixture(
        {dataset.name: dataset.split("train") for dataset in datasets},
        config.data.identities_per_batch,
        config.data.photos_per_identity,
        config.training.seed,
        config.data.dataset_weights,
        config.data.balance_domains,
        _labelled_pairs(config),
    )


def _common_fields(config: ExperimentConfig) -> dict[str, str]:
    """The fields that hosts have in common; each may have folders of its own for the data."""
    own = ("data.data_dir", "data.labelled_pairs", "data.workers", "data.threads")
    fields = {
        f"{section}.{name}": repr(value)
        for section, values in to_nested_dict(config).items()
        for name, value in values.items()
    }
    return {name: value for name, value in fields.items() if name not in own}


def _labelled_pairs(config: ExperimentConfig) -> list[Decision]:
    return read_decisions(map(pathlib.Path, config.data.labelled_pairs))


def training_batches(
    config: ExperimentConfig,
    datasets: Sequence[Dataset],
    plan: DatasetMixture,
    augment: OwnAugmentation | None = None,
) -> TrainingBatches:
    """This host's part of every batch of a run."""
    return TrainingBatches(
        MixtureSplit([dataset.split("train") for dataset in datasets]),
        plan,
        config.image,
        config.augment,
        config.training.seed,
        config.training.epochs * plan.steps_per_epoch,
        this_host(),
        augment,
    )


def _claim(workdir: pathlib.Path, config: ExperimentConfig, objective: ObjectiveLike) -> None:
    """Store config and objective; once there is a checkpoint, they must be the stored ones.

    Until then they are replaced: a config that failed to train must not stand in the way of the
    corrected one.
    """
    path, own_path = workdir / CONFIG_FILE, workdir / OBJECTIVE_FILE
    own = _own_objective(objective, config)
    if not any(entry.name.isdigit() for entry in checkpoints_folder(workdir).glob("*")):
        _refuse_lost_checkpoints(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        if jax.process_index() == 0:
            own_path.unlink(missing_ok=True)
            if own:
                atomic_write(own_path, json.dumps(own, indent=2).encode())
            store_config(config, path)  # last: it makes the folder a run's
        return
    changed = [
        line
        for line in differences(read_stored_config(path), config)
        if not line.startswith(_FREE_FIELDS)
    ]
    if changed:
        raise ConfigError(
            f"{workdir.resolve()} holds a run of another config (stored != requested):\n  "
            + "\n  ".join(changed)
            + "\nResume with the same config, or choose another --workdir."
        )
    stored = (
        read_json(own_path, dict[str, Any], None, "a run's workdir") if own_path.exists() else None
    )
    if stored != own:
        raise ConfigError(
            f"{workdir.resolve()} holds a run of another objective (null: the config's own):\n"
            f"  stored    {json.dumps(stored)}\n  requested {json.dumps(own)}\n"
            "Give `train` the same objective, or choose another workdir."
        )


def _refuse_lost_checkpoints(workdir: pathlib.Path) -> None:
    """Beginning anew would empty the log of a run whose checkpoints were moved away."""
    lines = [] if checkpoints_folder(workdir).exists() else read_metrics(workdir)
    if lines:
        raise FashionJaxError(
            f"{workdir.resolve()} has the log of a run up to step {lines[-1]['step']}, but no "
            "checkpoints/: put that folder back, or choose another --workdir"
        )


def _own_objective(objective: ObjectiveLike, config: ExperimentConfig) -> dict[str, Any] | None:
    """Class, settings and weights of an objective that the config does not describe."""
    if objective == Objective.from_config(config):
        return None
    description: dict[str, Any] = {"class": type(objective).__qualname__}
    if isinstance(objective, Objective):
        weights = {name: weight for name, (weight, _) in objective.extra_terms.items()}
        plain = dataclasses.replace(objective, extra_terms={})
        description |= dataclasses.asdict(plain) | {"extra_terms": weights}
    return description


def describe_batch_norm_scope(config: ExperimentConfig) -> str:
    """Says which photos BatchNorm's statistics go over."""
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    group = config.model.ghost_batch_size
    if group in (0, batch):
        return f"BatchNorm statistics: over the global batch of {batch} photos"
    return f"BatchNorm statistics: over each {group} of the global batch's {batch} photos"


def _iterator_state(
    config: ExperimentConfig, datasets: Sequence[Dataset], plan: DatasetMixture, next_step: int
) -> DataIteratorState:
    prints = [dataset.fingerprint() for dataset in datasets]
    numbers = {
        "seed": config.training.seed,
        "identities_per_batch": config.data.identities_per_batch,
        "photos_per_identity": config.data.photos_per_identity,
        "balance_domains": config.data.balance_domains,
        "quotas": list(plan.quotas),
        "labelled_pairs_sha256": plan.pairs_sha256,
    }
    return DataIteratorState(next_step, {"datasets": prints}, numbers)


def _first_or_latest(
    checkpoints: Checkpoints, learner: Learner, here: DataIteratorState
) -> tuple[TrainState, int]:
    latest = checkpoints.latest_step()
    if latest is None:
        return learner.create_train_state(), 0
    if latest == 0:  # a run's own checkpoints begin after its first step
        raise FashionJaxError(
            "this workdir holds converted weights and no run. To train from them, choose another "
            "--workdir and set model.pretrained to the file that they came from"
        )
    state, stored = checkpoints.restore(latest, learner.abstract_state)
    with checkpoints.naming_damage(latest):
        there = check_values(stored, DataIteratorState, "its reader")
    require_same_data(there, here)
    require_same_step(latest, int(state.step), there.next_step)
    logger.info("resuming from step %d", latest)
    return state, there.next_step


def require_same_data(there: DataIteratorState, here: DataIteratorState) -> None:
    """Refuse to go on with other data than the checkpoint's, whatever its position.

    Raises:
        FashionJaxError: with each value that changed.
    """
    then, now = (dict(_leaves({"data": each.dataset, "plan": each.plan})) for each in (there, here))
    changed = [
        f"  {name}: then {then.get(name, 'nothing')}, now {now.get(name, 'nothing')}"
        for name in sorted({*then, *now})
        if then.get(name) != now.get(name)
    ]
    if changed:
        raise FashionJaxError(
            "the dataset or its plan changed since this run was interrupted:\n"
            + "\n".join(changed)
            + "\nRestore the dataset, or choose another --workdir."
        )


def require_same_step(checkpoint: int, state: int, data: int) -> None:
    """Refuse a checkpoint whose state and data are not of its own step.

    Raises:
        FashionJaxError: with the three steps.
    """
    if not checkpoint == state == data:
        raise FashionJaxError(
            f"the checkpoint of step {checkpoint} contradicts itself: its state is of step "
            f"{state}, its data of step {data}. To resume from another one, move its folder out "
            "of checkpoints/"
        )


def _leaves(tree: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Paths and values of nested JSON values."""
    if isinstance(tree, dict | list):
        parts = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for name, part in parts:
            yield from _leaves(part, f"{path}.{name}" if path else str(name))
    else:
        yield path, tree


def _origin(checkpoints: Checkpoints, config: ExperimentConfig, content: str) -> WeightsOrigin:
    """Origin of the first weights; a resumed run reads it from its cards, not from the file."""
    latest = checkpoints.latest_step()
    if latest is None:
        return weights_origin(config.model)
    card = checkpoints.restore_card(latest)
    with checkpoints.naming_damage(latest):
        require_train_sha256(card, content, "its reader")
    return WeightsOrigin(card.pretrained, card.pretrained_sha256)


def _steps(run: Run, state: TrainState, start: int) -> TrainState:
    config, mesh = run.config, run.learner.mesh
    source = iterate(
        training_batches(config, run.datasets, run.plan, run.augment), config.data, start
    )
    bar = tqdm(
        total=run.total_steps, initial=start, desc="train", unit="step", disable=not run.progress
    )
    bar.set_postfix_str("compiling")
    compiled = set[tuple[int, ...]]()
    with closing(source), logging_redirect_tqdm(), bar, Preemption() as preemption:
        run.stopwatch.steps_begin()
        batches = (global_batch(batch, mesh) for batch in run.stopwatch.waiting(source))
        photos = next(batches, {})
        for step in range(start + 1, run.total_steps + 1):
            shape = photos["image"].shape
            run.profiler.before(step)
            with (
                jax.transfer_guard("disallow"),
                run.stopwatch.counting_if("compile", shape not in compiled),
            ):
                state, metrics = run.learner.train_step(state, photos)
            compiled.add(shape)
            photos = next(batches, {})  # on its way while the device works on this step
            run.profiler.after(step, metrics)
            if run.pending:
                jax.block_until_ready(run.pending[-1])  # at most two steps ahead of the device
            elif step == start + 1:
                bar.set_postfix_str("")
            run.pending.append((step, metrics))
            if step % config.training.log_every_steps == 0:
                bar.set_postfix(_log_pending(run))
            ends = preemption.is_due(step) and step < run.total_steps
            _checkpoint_if_due(run, state, step, ends)
            bar.update()
            if ends:
                raise PreemptedError(step)
    return state


def _log_pending(run: Run) -> dict[str, str]:
    """Check the losses of all steps since the last time and write the last one's down."""
    values: dict[str, float] = {}
    for step, metrics in run.pending:
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        _require_finite(step, values)
        run.monitor.update(step, values)
    if not run.pending:
        return {}
    step = run.pending[-1][0]
    run.pending.clear()
    speed = run.stopwatch.report(step, run.photos_per_step)
    speed |= run.device_use.report(speed["speed/photos_per_second"], run.photos_per_step)
    position = {"epoch": step / run.plan.steps_per_epoch, "time": time.time()}
    run.log.write(step, {**position, **values, **speed})
    return {"loss": f"{values['loss/total']:.3f}"}


def _require_finite(step: int, values: dict[str, float]) -> None:
    wrong = [name for name, value in values.items() if not math.isfinite(value)]
    if wrong:
        found = ", ".join(f"{name} = {values[name]}" for name in wrong)
        raise NonFiniteLossError(
            f"step {step}: {found}. Earlier checkpoints are intact. Lower "
            "optimizer.learning_rate, or compute in float32 if model.compute_dtype is bfloat16."
        )


def _checkpoint_if_due(run: Run, state: TrainState, step: int, ends: bool) -> None:
    training, per_epoch = run.config.training, run.plan.steps_per_epoch
    last = step == run.total_steps
    validates = last or step % (per_epoch * training.evaluate_every_epochs) == 0
    between = training.checkpoint_every_steps and step % training.checkpoint_every_steps == 0
    if not (validates or between or ends):
        return
    _log_pending(run)
    metrics = None
    model = model_of(run.learner, state, run.datasets, run.train_sha256, run.origin)
    if validates:
        with run.stopwatch.counting("validation"):
            metrics = validate(model, run.datasets, run.progress)
        run.log.write(step, {"epoch": step / per_epoch, **metrics})
        name = selection_metric(metrics)
        logger.info("step %d: %s %.4f", step, name, metrics[name])
    reader = _iterator_state(run.config, run.datasets, run.plan, step)
    with run.stopwatch.counting("checkpoints"):
        run.checkpoints.save(state, dataclasses.asdict(reader), model.card, metrics)
        _publish(run)


def _publish(run: Run) -> None:
    """Upload the files of a run at an address, with its checkpoint where it is one of them."""
    if address_of(run.workdir) is None:
        return
    if not is_address(checkpoints_folder(run.workdir)):
        run.checkpoints.wait()
    if jax.process_index() == 0:
        publish(run.workdir, belongs_to_run)
