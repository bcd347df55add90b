"""Runs a function in its own process, and measures its time and memory."""

import concurrent.futures
import multiprocessing
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def measured(function: Callable[..., Any], *arguments: Any) -> dict[str, Any]:
    """Return the function's result, a dict, with the `peak` [GiB] of its process added."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
        return pool.submit(_in_child, function, arguments).result()


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """Return seconds of wall time, and the function's result."""
    start = time.perf_counter()
    result = function(*arguments)
    return time.perf_counter() - start, result


def clustered(
    rows: int, dimensions: int, per_product: int, seed: int, noise: float = 3.0
) -> np.ndarray:
    """Drawn unit embeddings, float32: photos of a product lie around one direction."""
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
