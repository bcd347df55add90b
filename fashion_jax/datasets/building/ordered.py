"""Threads whose results come back in order."""

import collections
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")

_AHEAD = 4  # inputs in progress per thread: bounds the memory, and keeps all threads busy


def default_threads() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_in_order(
    function: Callable[[Input], Output], inputs: Iterable[Input], threads: int
) -> Iterator[Output]:
    """Map with threads in bounded memory; `Executor.map` would read all inputs at once."""
    with ThreadPoolExecutor(threads) as pool:
        pending: collections.deque[Future[Output]] = collections.deque()
        try:
            for each in inputs:
                pending.append(pool.submit(function, each))
                if len(pending) >= threads * _AHEAD:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
