"""Checks before hours are spent: this machine, or all hosts of a job together."""

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import jax
from tabulate import tabulate

from fashion_jax.addresses import cache_folder, is_address
from fashion_jax.config import ExperimentConfig
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.trained_on import train_sha256
from fashion_jax.errors import FashionJaxError
from fashion_jax.parallel.agreement import find_differences, gather_texts, versions
from fashion_jax.strict_json import digest

_GIB = 2**30
_LEAST_FREE = 5 * _GIB
_LEAST_SHARED = _GIB // 2
_LEAST_FILES = 4096
_MOST_SECONDS_APART = 5.0
_READ_FOR_S = 2.0
_LEAST_MB_PER_S = 20.0

# Files of devices, and what installs the JAX that uses them.
_DEVICES = {
    "/dev/nvidia0": ("gpu", "pip install -U 'jax[cuda12]'"),
    "/dev/kfd": ("gpu", "install JAX for ROCm"),
    "/dev/accel0": ("tpu", "pip install -U 'fashion-jax[tpu]'"),
    "/dev/vfio/0": ("tpu", "pip install -U 'fashion-jax[tpu]'"),
}

Status = Literal["ok", "warning", "problem"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """Result of a check.

    Attributes:
        check: name of the check.
        status: `ok`, `warning` or `problem`.
        found: what was found.
        remedy: what to do; empty if nothing.
        host: number of the host.
    """

    check: str
    status: Status
    found: str
    remedy: str = ""
    host: int = 0


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Findings of all hosts.

    Attributes:
        findings: findings, by host and check; those of all hosts together come first.
        hosts: number of hosts.
    """

    findings: Sequence[Finding]
    hosts: int

    @property
    def is_well(self) -> bool:
        """Whether nothing is a problem."""
        return not any(each.status == "problem" for each in self.findings)

    def to_json(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        findings = [dataclasses.asdict(each) for each in self.findings]
        return {"well": self.is_well, "hosts": self.hosts, "findings": findings}

    def to_table(self) -> str:
        """A table for people, and what to do."""
        several = self.hosts > 1
        rows = [
            [*([each.host] if several else []), each.check, each.status, each.found]
            for each in self.findings
        ]
        columns = [*(["host"] if several else []), "check", "", "found"]
        said = [tabulate(rows, columns, maxcolwidths=[None] * (len(columns) - 1) + [80])]
        told = [f"{each.check}: {each.remedy}" for each in self.findings if each.remedy]
        said += ["", *dict.fromkeys(told)] if told else ["", "nothing to do"]
        return "\n".join(said)


def diagnose(
    config: ExperimentConfig | None = None, workdir: str | os.PathLike[str] | None = None
) -> Diagnosis:
    """Check this machine for training, or every host of the job that was joined.

    Args:
        config: config of the run, for its datasets and worker processes; by default these are not
            looked at.
        workdir: folder of the run, for its disk; by default the present folder.
    """
    # A run at an address has its files on the disk of the working copies.
    place = cache_folder() if workdir and is_address(workdir) else pathlib.Path(workdir or ".")
    host = jax.process_index()
    own = [dataclasses.replace(each, host=host) for each in _findings(config, place)]
    facts = {**versions(), **_facts(config)}
    gather_texts("")  # hosts that took longer for their checks are not late by the clock
    told = {"facts": facts, "now": time.time(), "findings": list(map(dataclasses.asdict, own))}
    hosts = [json.loads(text) for text in gather_texts(json.dumps(told))]
    together = _together(hosts) if len(hosts) > 1 else []
    findings = [Finding(**each) for host in hosts for each in host["findings"]]
    return Diagnosis([*together, *findings], len(hosts))


def _together(hosts: list[dict[str, Any]]) -> Iterator[Finding]:
    differences = find_differences([each["facts"] for each in hosts])
    if differences:
        remedy = "give all hosts the same packages, config and data"
        yield Finding("agreement", "problem", "; ".join(differences), remedy)
    else:
        yield Finding("agreement", "ok", f"{len(hosts)} hosts have the same packages and data")
    times = [each["now"] for each in hosts]
    apart = max(times) - min(times)
    if apart > _MOST_SECONDS_APART:
        remedy = (
            "set the clocks by NTP (chrony): otherwise logs of several hosts cannot be compared"
        )
        yield Finding("clocks", "warning", f"{apart:.1f} s apart", remedy)
    else:
        yield Finding("clocks", "ok", f"{apart:.1f} s apart, the exchange included")


def _facts(config: ExperimentConfig | None) -> dict[str, str]:
    """Digests that have to be equal on all hosts."""
    if config is None:
        return {}
    mesh = dataclasses.asdict(config) | {"data": {}}
    found = {"config": digest(mesh)[:12]}
    with contextlib.suppress(FashionJaxError, OSError):  # a check of its own names it
        opened = [open_dataset(name, config.data.data_dir) for name in config.data.datasets]
        found["data"] = train_sha256(opened)[:12]
    return found


def _findings(config: ExperimentConfig | None, workdir: pathlib.Path) -> Iterator[Finding]:
    known = versions()
    yield Finding("versions", "ok", ", ".join(f"{name} {each}" for name, each in known.items()))
    yield _devices()
    yield _memory()
    yield _shared_memory(config)
    yield _open_files()
    yield _disk(workdir)
    yield _port()
    if config is not None:
        yield from _data(config)


def _devices() -> Finding:
    devices = jax.local_devices()
    kinds = sorted({device.device_kind for device in devices})
    found = f"{len(devices)} × {', '.join(kinds)} ({devices[0].platform}) of {jax.device_count()}"
    for path, (platform_name, remedy) in _DEVICES.items():
        if pathlib.Path(path).exists() and devices[0].platform == "cpu":
            said = f"{found}; {path} is there, and JAX does not use it"
            return Finding("devices", "problem", said, f"{remedy} ({platform_name})")
    return Finding("devices", "ok", found)


def _memory() -> Finding:
    found = f"{os.cpu_count()} cores"
    with contextlib.suppress(ValueError, OSError, AttributeError):  # not on every system
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found += f", {size / _GIB:.0f} GiB"
    return Finding("host", "ok", f"{found}, {platform.platform()}")


def _shared_memory(config: ExperimentConfig | None) -> Finding:
    place = pathlib.Path("/dev/shm")
    if not place.exists():
        return Finding("shared memory", "ok", "this system has no /dev/shm")
    free = shutil.disk_usage(place).free
    found = f"{free / _GIB:.1f} GiB free in {place}"
    if free < _LEAST_SHARED and (config is None or config.data.workers):
        remedy = "start the container with --shm-size=4g, or set data.workers=0"
        return Finding("shared memory", "warning", found, remedy)
    return Finding("shared memory", "ok", found)


def _open_files() -> Finding:
    try:
        import resource
    except ImportError:
        return Finding("open files", "ok", "this system has no such limit")
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    found = f"{limit:,} at once"
    if 0 <= limit < _LEAST_FILES:
        return Finding("open files", "warning", found, f"ulimit -n {min(most, 65536):,}")
    return Finding("open files", "ok", found)


def _disk(workdir: pathlib.Path) -> Finding:
    place = next(
        each for each in (workdir.absolute(), *workdir.absolute().parents) if each.exists()
    )
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as file:
            start = time.perf_counter()
            file.write(bytes(2**24))
            file.flush()
            os.fsync(file.fileno())
            rate = 2**24 / (time.perf_counter() - start) / 1e6
    except OSError as error:
        remedy = f"make {place} writable, or choose another --workdir"
        return Finding("workdir", "problem", f"{place}: {error.strerror or error}", remedy)
    free = shutil.disk_usage(place).free
    found = f"{place}: {free / _GIB:.1f} GiB free, written at {rate:,.0f} MB/s"
    if free < _LEAST_FREE:
        return Finding("workdir", "warning", found, "make room: a run keeps three checkpoints")
    return Finding("workdir", "ok", found)


def _port() -> Finding:
    """Other hosts find process 0 at a port; a firewall cannot be seen from inside."""
    try:
        with socket.socket() as listener:
            listener.bind(("", 0))
            listener.listen()
    except OSError as error:
        remedy = "allow this process to listen"
        return Finding("ports", "problem", f"no port can be listened on: {error}", remedy)
    name = socket.gethostname()
    joined = f"joined as process {jax.process_index()} of {jax.process_count()}"
    said = joined if jax.process_count() > 1 else "one process; ports can be listened on"
    return Finding("ports", "ok", f"{name}: {said}")


def _data(config: ExperimentConfig) -> Iterator[Finding]:
    for name in config.data.datasets:
        yield _tried("data", lambda name=name: _read_speed(config, name))  # type: ignore[misc]


def _tried(check: str, function: Callable[[], Finding]) -> Finding:
    try:
        return function()
    except (FashionJaxError, OSError) as error:
        return Finding(check, "problem", str(error), "see the message")


def _read_speed(config: ExperimentConfig, name: str) -> Finding:
    dataset = open_dataset(name, config.data.data_dir)
    split = dataset.split("train")
    start, size, row = time.perf_counter(), 0, 0
    while time.perf_counter() - start < _READ_FOR_S and row < len(split):
        size += len(split.image_bytes(row))
        row += 1
    rate = size / max(time.perf_counter() - start, 1e-9) / 1e6
    print_ = train_sha256([dataset])[:12]
    found = f"{name} {print_}: {len(split):,} training photos, read at {rate:,.0f} MB/s by a thread"
    if rate < _LEAST_MB_PER_S:
        remedy = "copy the dataset to a local disk, or raise data.threads and data.workers"
        return Finding("data", "warning", found, remedy)
    return Finding("data", "ok", found)
