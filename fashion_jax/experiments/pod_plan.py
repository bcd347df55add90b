"""Memory, time and cost of a training run on accelerators that are not there.

libtpu compiles the very step of a run for a pod's topology on any machine. The counts are the
compiler's; times are these counts at the chip's published rates, a bound that no run beats.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import jax
from tabulate import tabulate

from fashion_jax.config import ConfigError, ExperimentConfig
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.errors import FashionJaxError, needs_extra
from fashion_jax.parallel.chips import Topology, parse_topology
from fashion_jax.parallel.hosts import check_batch_size
from fashion_jax.parallel.mesh import LARGE_CLASSIFIER, divides_over_data, make_mesh
from fashion_jax.parallel.program_costs import ProgramCosts, program_costs
from fashion_jax.training.learner import Learner, abstract_batch, make_learner
from fashion_jax.training.loop import make_plan

_GIB = 2**30

# Otherwise libtpu looks for the machine's own chips, complains, and lets only one process use it.
_NO_TPU_HERE = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-16",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}


@dataclasses.dataclass(frozen=True)
class Workload:
    """Size of the training data.

    Attributes:
        identities: training identities.
        steps_per_epoch: steps until every identity was shown.
    """

    identities: int
    steps_per_epoch: int


@dataclasses.dataclass(frozen=True)
class PodPlan:
    """Memory, time and cost of a run.

    Attributes:
        topology: the chips.
        batch: photos in a step.
        workload: what it learns from.
        steps: steps of the whole run.
        state: bytes of each part of the train state on a chip.
        costs: costs of a step on a chip; counts of a program for CPUs where it is not compiled for
            the chip itself.
        columns_to_divide: columns of a large classifier that each chip holds whole; 0 if none.
        microbatches: parts of a batch, a loop whose body the compiler counts once.
        compiled: whether the step was compiled for the chip.
        price: price of a chip for an hour; `None` if unknown.
    """

    topology: Topology
    batch: int
    workload: Workload
    steps: int
    state: Mapping[str, int]
    costs: ProgramCosts
    columns_to_divide: int
    microbatches: int
    compiled: bool
    price: float | None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of a step by what bounds it, each at the chip's published rate."""
        chip, costs = self.topology.chip, self.costs
        found = {"compute": costs.flops / chip.flops}
        if self.compiled:
            found["memory"] = costs.bytes_moved / chip.memory_rate
        # A chip sends and receives at half of the rate of both directions each.
        return found | {"links": costs.sent / (chip.link_rate / 2)}

    @property
    def bounds(self) -> tuple[float, float]:
        """Least seconds of a step: if all of it overlaps, and if nothing does."""
        return max(self.seconds.values()), sum(self.seconds.values())

    @property
    def fits(self) -> bool:
        """Whether a step fits into a chip's memory."""
        return self.costs.memory <= self.topology.chip.memory

    @property
    def most_photos_per_chip(self) -> int:
        """About how many photos a chip has memory for.

        Temporaries are taken to grow in proportion to the photos, all else not to.
        """
        here = self.batch / self.topology.count
        fixed = self.costs.memory - self.costs.temporaries
        left = self.topology.chip.memory - fixed
        return max(0, math.floor(here * left / max(1, self.costs.temporaries)))

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        least, most = self.bounds
        hours = [self.steps * seconds / 3600 for seconds in (least, most)]
        chip_hours = [each * self.topology.count for each in hours]
        return {
            "topology": self.topology.text,
            "chips": self.topology.count,
            "compiled_for_the_chip": self.compiled,
            "photos_per_step": self.batch,
            "microbatches": self.microbatches,
            "identities": self.workload.identities,
            "steps": self.steps,
            "state_bytes": dict(self.state),
            "memory_bytes": self.costs.memory,
            "chip_memory_bytes": self.topology.chip.memory,
            "fits": self.fits,
            "most_photos_per_chip": self.most_photos_per_chip,
            "costs": dataclasses.asdict(self.costs),
            "seconds": self.seconds,
            "step_seconds": [least, most],
            "photos_per_second": [self.batch / most, self.batch / least],
            "hours": hours,
            "chip_hours": chip_hours,
            "price": None if self.price is None else [self.price * each for each in chip_hours],
        }

    def to_table(self) -> str:
        """A page for people."""
        per_chip = self.batch / self.topology.count
        said = [
            f"{self.topology.text}: {self.topology.count} chips, {self.batch:,} photos a step "
            f"({per_chip:g} a chip), {self.workload.identities:,} identities",
            self._memory_table(),
            self._time_table(),
            self._totals(),
            self._assumptions(),
        ]
        return "\n\n".join(said)

    def _memory_table(self) -> str:
        costs, memory = self.costs, self.topology.chip.memory
        state = {f"state: {name}": size for name, size in self.state.items()}
        rest = costs.arguments - sum(self.state.values())
        parts = state | {
            "batch": max(0, rest),
            "temporaries (activations, gradients)": costs.temporaries,
            "outputs": costs.outputs,
            "program": costs.code,
            "sum": costs.memory,
            "of": memory,
        }
        rows = [[name, size / _GIB] for name, size in parts.items()]
        said = tabulate(rows, ["memory of a chip", "GiB"], floatfmt=".2f", tablefmt="github")
        fits = "it fits" if self.fits else "IT DOES NOT FIT"
        return (
            f"{said}\n\n{fits}; there is room for about {self.most_photos_per_chip:,} photos a chip"
            f"{self._hint()}"
        )

    def _hint(self) -> str:
        if not self.columns_to_divide:
            return ""
        return (
            f"\n\nEach chip holds all {self.columns_to_divide:,} columns of the classifier, and "
            "sends their gradient: classifier.pad_classes_to_multiple="
            f"{self.topology.count} divides them over the chips."
        )

    def _time_table(self) -> str:
        costs, chip, seconds = self.costs, self.topology.chip, self.seconds
        rows: list[list[Any]] = [
            ["compute", f"{costs.flops / 1e12:.2f} TFLOP", f"{chip.flops / 1e12:,.0f} TFLOP/s"],
            ["memory", f"{costs.bytes_moved / 1e9:.1f} GB", f"{chip.memory_rate / 1e9:,.0f} GB/s"],
            ["links", f"{costs.sent / 1e9:.3f} GB", f"{chip.link_rate / 2e9:,.0f} GB/s each way"],
        ]
        rows = [
            [*row, f"{seconds[row[0]] * 1e3:.1f}" if row[0] in seconds else "unknown"]
            for row in rows
        ]
        said = tabulate(rows, ["a chip's step", "counted", "rate", "ms"], tablefmt="github")
        kinds = [
            f"{each.count} {name} ({each.bytes / 1e6:,.1f} MB)"
            for name, each in costs.collectives.items()
        ]
        return f"{said}\n\ncollectives: {', '.join(kinds) or 'none'}"

    def _totals(self) -> str:
        least, most = self.bounds
        hours = [self.steps * seconds / 3600 for seconds in (least, most)]
        chip_hours = [each * self.topology.count for each in hours]
        said = (
            f"a step takes at least {least * 1e3:.1f} ms if all of it overlaps, {most * 1e3:.1f} "
            f"ms if nothing does: {self.batch / most:,.0f} to {self.batch / least:,.0f} photos/s\n"
            f"{self.steps:,} steps: {hours[0]:.2f} to {hours[1]:.2f} hours, "
            f"{chip_hours[0]:.1f} to {chip_hours[1]:.1f} chip-hours"
        )
        if self.price is not None:
            cost = [self.price * each for each in chip_hours]
            said += f", {cost[0]:,.2f} to {cost[1]:,.2f} at {self.price:g} a chip-hour"
        if self.microbatches > 1:
            said += (
                f"\nThe {self.microbatches} microbatches are a loop, whose work counts once: times "
                "are too low by up to this factor. Memory is right."
            )
        return said

    def _assumptions(self) -> str:
        source = self.topology.chip.source
        counted = (
            f"counted by the compiler for {self.topology.text}"
            if self.compiled
            else "counted on a program for CPUs before it is optimised, so that the bytes to and "
            "from memory are unknown, and memory is too high"
        )
        return (
            f"Assumptions: costs are {counted}; rates are the published ones ({source}); rings of "
            "chips send what is least. Loading photos, validation, checkpoints and compiling are "
            "not counted. No run beats these bounds."
        )


def plan_run(
    config: ExperimentConfig,
    topology: str,
    identities: int | None = None,
    steps_per_epoch: int | None = None,
    price: float | None = None,
) -> PodPlan:
    """Find out what a run takes on accelerators that are not there.

    Compiles the run's own step for a TPU topology, which takes minutes for a large network. For
    GPUs, which cannot be compiled for without one, operations are counted on the program for CPUs.

    Args:
        config: config of the run.
        topology: such as `v5e:4x4` or `gpu:h100x8`.
        identities: training identities; by default those of the built datasets.
        steps_per_epoch: steps in an epoch; by default those of the built datasets.
        price: price of a chip for an hour.

    Raises:
        FashionJaxError: no libtpu, an unknown topology, or no datasets and no numbers.
        ConfigError: a batch or a classifier that the mesh cannot divide.
    """
    chips = parse_topology(topology)
    workload = _workload(config, identities, steps_per_epoch)
    devices = _devices(chips)
    try:
        mesh = make_mesh(config.mesh, devices)
    except AssertionError as error:  # JAX's, of v4's cores
        raise FashionJaxError(f"{chips.text} cannot be planned for: {error}") from error
    cores = len(devices) // chips.count  # some chips are two devices, such as TPU7x
    batch = config.data.identities_per_batch * config.data.photos_per_identity
    check_batch_size(batch, mesh, "data.identities_per_batch × data.photos_per_identity")
    learner = make_learner(config, workload.identities, workload.steps_per_epoch, mesh)
    lowered = learner.train_step.lower(  # type: ignore[attr-defined]
        learner.abstract_state, abstract_batch(config, mesh)
    )
    costs = program_costs(lowered.compile(), len(devices))
    if not chips.is_tpu:  # CPUs have convolutions in libraries, whose operations are not counted
        flops = (lowered.cost_analysis() or {}).get("flops", 0.0) / chips.count
        costs = dataclasses.replace(costs, flops=float(flops))
    state = {name: size * cores for name, size in _state_bytes(learner).items()}
    return PodPlan(
        topology=chips,
        batch=batch,
        workload=workload,
        steps=config.training.epochs * workload.steps_per_epoch,
        state=state,
        costs=costs.times(cores),
        columns_to_divide=_columns_to_divide(learner),
        microbatches=config.training.microbatches,
        compiled=chips.is_tpu,
        price=price,
    )


def _workload(
    config: ExperimentConfig, identities: int | None, steps_per_epoch: int | None
) -> Workload:
    if identities is not None and steps_per_epoch is not None:
        return Workload(identities, steps_per_epoch)
    missing = [name for name in config.data.datasets if not _is_built(config, name)]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} is not built in {config.data.data_dir}; build it, or give "
            "--identities and --steps_per_epoch"
        )
    datasets = [open_dataset(name, config.data.data_dir) for name in config.data.datasets]
    plan = make_plan(config, datasets)
    return Workload(
        plan.num_identities if identities is None else identities,
        plan.steps_per_epoch if steps_per_epoch is None else steps_per_epoch,
    )


def _is_built(config: ExperimentConfig, name: str) -> bool:
    try:
        open_dataset(name, config.data.data_dir)
    except FashionJaxError:
        return False
    return True


def _devices(chips: Topology) -> Any:
    if not chips.is_tpu:
        return _cpus(chips)
    with needs_extra("tpu"):
        import libtpu  # noqa: F401
    from jax.experimental import topologies

    try:
        with _environment(_NO_TPU_HERE):
            return topologies.get_topology_desc(chips.text, platform="tpu").devices
    except Exception as error:
        raise FashionJaxError(f"libtpu does not know the topology {chips.text}: {error}") from error


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _cpus(chips: Topology) -> Any:
    with contextlib.suppress(RuntimeError):  # too late to ask for more
        jax.config.update("jax_num_cpu_devices", chips.count)
    devices = jax.devices("cpu")
    if len(devices) < chips.count:
        raise FashionJaxError(
            f"{chips.text} is counted on as many virtual devices: set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={chips.count}"
        )
    return devices[: chips.count]


def _columns_to_divide(learner: Learner) -> int:
    kernel = learner.abstract_state.params["classifier"]["kernel"]
    whole = not divides_over_data(kernel.sharding.spec) and learner.mesh.shape["data"] > 1
    return kernel.shape[1] if whole and kernel.size >= LARGE_CLASSIFIER else 0


def _state_bytes(learner: Learner) -> dict[str, int]:
    """Bytes of each part of the state on one device."""
    found = {}
    for field in dataclasses.fields(learner.abstract_state):
        leaves = jax.tree.leaves(getattr(learner.abstract_state, field.name))
        size = sum(
            math.prod(leaf.sharding.shard_shape(leaf.shape)) * leaf.dtype.itemsize
            for leaf in leaves
        )
        if size > 1024:
            found[field.name.replace("_", " ")] = size
    return found
