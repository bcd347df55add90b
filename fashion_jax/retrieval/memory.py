"""How much memory there is, so that what cannot fit is refused before it begins."""

import os
import pathlib

from fashion_jax.errors import FashionJaxError

_CGROUP = pathlib.Path("/sys/fs/cgroup")


class MemoryNeedError(FashionJaxError):
    """Something needs more memory than there is."""


def require_memory(need: int, what: str) -> None:
    """Refuses what does not fit.

    Args:
        need: bytes.
        what: needs them, for the message.

    Raises:
        MemoryNeedError: if fewer bytes are available.
    """
    available = available_memory()
    if need > available:
        raise MemoryNeedError(
            f"{what} needs about {need / 2**30:.1f} GiB of memory, and "
            f"{available / 2**30:.1f} GiB are available here; take a machine with more memory, or "
            "a smaller gallery"
        )


def available_memory() -> int | float:
    """Bytes that a program may still take: the machine's, or its container's if that is less."""
    return min(_machine(), _container())


def _machine() -> int:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container() -> int | float:
    """What the control group (version 2) allows beyond what it has; infinity where nothing does."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = (_CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return float("inf")
    if limit == "max":
        return float("inf")
    # Pages of files that were read count as used, and are given back on demand.
    cache = dict(line.split() for line in statistics).get("inactive_file", 0)
    return int(limit) - used + int(cache)
