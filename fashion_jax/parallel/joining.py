"""Joining the other processes of a job, wherever JAX finds them or the environment names them.

JAX detects SLURM, Open MPI, Google's TPU machines and Kubernetes, also several slices that work
together. Nothing here is a launcher of its own: it chooses the rule, says which one it was, and
refuses to train alone what was started many times.
"""

import logging
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from fashion_jax.errors import FashionJaxError
from fashion_jax.versions import Cluster, detect_cluster

logger = logging.getLogger(__name__)

ADDRESS, COUNT, INDEX = "JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID"
LOST_AFTER_S = 30
"""Seconds without a sign of life after which a process counts as lost, and the others end."""

_COMPLETION = "JOB_COMPLETION_INDEX"  # of an indexed job on Kubernetes

_CLUSTERS = {
    "slurm": ("SLURM", ("SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID")),
    "ompi": ("Open MPI", ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")),
    "gketpu": (
        "TPU machines named by the environment",
        ("TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", "TPU_PROCESS_ADDRESSES", "MEGASCALE_NUM_SLICES"),
    ),
    "gcetpu": ("TPU machines named by their metadata", ("MEGASCALE_NUM_SLICES",)),
    "k8s": ("Kubernetes", (_COMPLETION,)),
}

# Number of processes by which a launcher shows that there are several.
_COUNTS = {
    "SLURM_NTASKS": "start every process with srun, which tells each its number",
    "SLURM_STEP_NUM_TASKS": "start every process with srun, which tells each its number",
    "OMPI_COMM_WORLD_SIZE": f"set {ADDRESS} to HOST:PORT of process 0, {COUNT} and {INDEX}",
    "PMI_SIZE": f"set {ADDRESS} to HOST:PORT of process 0, {COUNT} and {INDEX}",
    "WORLD_SIZE": f"set {ADDRESS} to HOST:PORT of process 0, {COUNT} and {INDEX}",
    "MEGASCALE_NUM_SLICES": "install jax[tpu], which finds the other slices",
    COUNT: f"set {ADDRESS} to HOST:PORT of process 0 as well, and {INDEX} on each",
}
# The same for lists of machines.
_LISTS = {
    "TPU_WORKER_HOSTNAMES": "install jax[tpu], which finds the other machines",
    "TPU_PROCESS_ADDRESSES": "install jax[tpu], which finds the other machines",
}
_ALONE = f"set {COUNT}=1 if this process is to work alone"


class JoinError(FashionJaxError):
    """A process that looks like one of many, and found none of the others."""


class Rule(NamedTuple):
    """How a job is joined.

    Attributes:
        name: the rule and its variables, for the log.
        processes: number of processes, if the rule knows it.
        options: arguments of `jax.distributed.initialize`; `None` to work alone.
    """

    name: str
    processes: int | None
    options: dict[str, Any] | None


def join_job(timeout_s: int = 300) -> None:
    """Join the other processes of this job, if there are any; the log says by which rule.

    In this order: `JAX_NUM_PROCESSES=1` works alone; `JAX_COORDINATOR_ADDRESS`,
    `JAX_NUM_PROCESSES` and `JAX_PROCESS_ID` name a job; else a cluster that JAX detects.

    Args:
        timeout_s: seconds to wait for the others.

    Raises:
        JoinError: incomplete or wrong variables, others that do not come, or a process that looks
            like one of many without being told of the others.
    """
    rule = find_rule(os.environ)
    if rule.options is None:
        logger.info("one process: %s", rule.name)
        return
    try:
        jax.distributed.initialize(
            **rule.options,
            initialization_timeout=timeout_s,
            heartbeat_timeout_seconds=LOST_AFTER_S,
        )
    except Exception as error:
        raise JoinError(
            f"the other processes of this job were not found by {rule.name}: {error}. Check that "
            f"all of them were started and that process 0 can be reached from the others; {_ALONE}"
        ) from error
    count = jax.process_count()
    if rule.processes not in (None, count):
        raise JoinError(
            f"{rule.processes} processes were to join by {rule.name}, and JAX has {count}; check "
            "that all of them see the same kind of devices"
        )
    logger.info("process %d of %d: %s", jax.process_index(), count, rule.name)


def find_rule(environment: Mapping[str, str]) -> Rule:
    """Choose how this process joins its job.

    Raises:
        JoinError: see `join_job`.
    """
    if environment.get(COUNT) == "1":
        return Rule(f"{COUNT}=1", 1, None)
    if environment.get(ADDRESS):
        return _named(environment)
    detected = _detected(environment)
    if detected is not None and detected.processes > 1:
        name, variables = _CLUSTERS.get(detected.name, (detected.name, ()))
        options: dict[str, Any] = {"cluster_detection_method": detected.name}
        if (devices := _devices_of_the_only_task(environment)) and detected.name == "slurm":
            options["local_device_ids"] = devices
        return Rule(_said(name, environment, variables), detected.processes, options)
    _refuse_one_of_many(environment)
    if detected is not None:
        name, variables = _CLUSTERS.get(detected.name, (detected.name, ()))
        return Rule(f"{_said(name, environment, variables)}, a job of one", 1, None)
    return Rule(f"no cluster was detected and {ADDRESS} is not set", 1, None)


def _detected(environment: Mapping[str, str]) -> Cluster | None:
    try:
        return detect_cluster()
    except Exception as error:
        if "KUBERNETES_SERVICE_HOST" in environment and _COMPLETION not in environment:
            return None  # a pod of no job, such as a notebook's
        raise JoinError(
            f"whether this process is one of many cannot be told: {error}. Set {ADDRESS}, {COUNT} "
            f"and {INDEX}; {_ALONE}"
        ) from error


def _named(environment: Mapping[str, str]) -> Rule:
    numbers = {name: environment.get(name, "") for name in (COUNT, INDEX)}
    wrong = [f"{name}={text!r}" for name, text in numbers.items() if not text.isdecimal()]
    if wrong:
        raise JoinError(
            f"{ADDRESS} names a job, but {' and '.join(wrong)}; set both to whole numbers, or "
            f"unset {ADDRESS}"
        )
    count, index = map(int, numbers.values())
    if not 0 <= index < count:
        raise JoinError(f"{INDEX} is {index}; with {COUNT}={count} it has to be 0 to {count - 1}")
    name = _said("the environment", environment, (ADDRESS, COUNT, INDEX))
    options = {
        "coordinator_address": environment[ADDRESS],
        "num_processes": count,
        "process_id": index,
    }
    return Rule(name, count, options)


def _said(name: str, environment: Mapping[str, str], variables: tuple[str, ...]) -> str:
    known = [f"{each}={environment[each]}" for each in variables if each in environment]
    return f"{name} ({', '.join(known)})" if known else name


def _devices_of_the_only_task(environment: Mapping[str, str]) -> list[int] | None:
    """All GPUs of a SLURM node that runs one task; JAX would take the first one alone."""
    nodes, tasks = (
        environment.get(name, "") for name in ("SLURM_STEP_NUM_NODES", "SLURM_STEP_NUM_TASKS")
    )
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    alone = nodes == (tasks or environment.get("SLURM_NTASKS"))
    return list(range(int(gpus))) if alone and gpus.isdecimal() and int(gpus) > 1 else None


def _refuse_one_of_many(environment: Mapping[str, str]) -> None:
    for name, remedy in _COUNTS.items():
        text = environment.get(name, "")
        if text.isdecimal() and int(text) > 1:
            raise _one_of_many(f"{name}={text}", remedy)
    if environment.get(_COMPLETION, "0") != "0":
        raise _one_of_many(f"{_COMPLETION}={environment[_COMPLETION]}", "install jax[k8s]")
    for name, remedy in _LISTS.items():
        if "," in environment.get(name, ""):
            raise _one_of_many(f"{name}={environment[name]}", remedy)


def _one_of_many(sign: str, remedy: str) -> JoinError:
    return JoinError(
        f"{sign} says that this process is one of many, but JAX detects no cluster; alone it would "
        f"write what all of them write. To join them, {remedy}; {_ALONE}"
    )
