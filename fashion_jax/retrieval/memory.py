"""Available memory, to refuse work that cannot fit before it starts."""

import os
import pathlib

from fashion_jax.errors import FashionJaxError

_CGROUP = pathlib.Path("/sys/fs/cgroup")


def require_memory(need: int, what: str) -> None:
    """Refuses an operation that does not fit into memory.

    Args:
        need: bytes needed.
        what: name of the operation in the error message.

    Raises:
        FashionJaxError: if fewer bytes are available.
    """
    available = available_memory()
    if need > available:
        raise FashionJaxError(
            f"{what} needs about {need / 2**30:.1f} GiB of memory, but only "
            f"{available / 2**30:.1f} GiB are available; use a machine with more memory or a "
            f"smaller gallery"
        )


def available_memory() -> int | float:
    """Return the bytes a program may still take, limited by the machine or its container."""
    return min(_machine(), _container())


def _machine() -> int:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        values = dict(line.split(":", 1) for line in lines)
        return int(values["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):  # not Linux
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _container() -> int | float:
    """Bytes left in the control group (version 2); infinity without a limit."""
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
        statistics = (_CGROUP / "memory.stat").read_text().splitlines()
    except (OSError, ValueError):
        return float("inf")
    if limit == "max":
        return float("inf")
    # The page cache counts as used, but the kernel frees it on demand.
    cache = dict(line.split() for line in statistics).get("inactive_file", 0)
    return int(limit) - used + int(cache)
