"""Keeps Pillow's warnings about odd files to itself, from any number of threads.

`warnings.catch_warnings` swaps a list that all threads share, so that two threads which overlap
would leave the wrong one behind. Here the first to enter swaps and the last to leave restores.
"""

import contextlib
import threading
import warnings
from collections.abc import Iterator

_lock = threading.Lock()
_inside = 0
_swap = contextlib.ExitStack()


@contextlib.contextmanager
def pillow_warnings_ignored() -> Iterator[None]:
    """Ignores what modules of Pillow warn of, and nothing else."""
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside
    with _lock:
        if _inside == 0:
            _swap.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\b")
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0:
            _swap.close()
