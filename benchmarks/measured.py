"""Runs a function in a process of its own, and says how long it took and what memory it had."""

import concurrent.futures
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def measured(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """What the function returned, a dict, with `peak` [GiB] of its process added."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_in_child, function, arguments).result()


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Seconds of wall time, and what the function returned."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def clustered(
    rows: int, dimensions: int, per_product: int, seed: int, noise: float = 3.0
) -> np.ndarray:
    """Drawn unit embeddings, float32: photos of a product lie about a direction of its own."""
    rng = np.random.default_rng(seed)
    centers = rng.standard_normal((-(-rows // per_product), dimensions), dtype=np.float32)
    drawn = rng.standard_normal((rows, dimensions), dtype=np.float32)
    for start in range(0, rows, 8192):
        part = slice(start, start + 8192)
        drawn[part] *= np.float32(noise)
        drawn[part] += centers[np.arange(rows)[part] // per_product]
        drawn[part] /= np.linalg.norm(drawn[part], axis=1, keepdims=True)
    return drawn


def _in_child(function: Callable[..., Any], arguments: tuple[Any, ...]) -> dict[str, Any]:
    result = function(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return result | {"peak": peak}
