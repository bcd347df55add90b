"""Tables of the differences between two trajectories."""

from collections.abc import Mapping

import numpy as np
import tabulate

TERMS = ("identity", "triplet", "center", "total")
# First and last step (from 1) of the stretches that a table sums up.
STRETCHES = ((1, 1), (2, 5), (6, 10), (11, 20), (21, 35), (36, 50))

Arrays = Mapping[str, np.ndarray]


def relative_differences(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """|a − b| / |b| of each step; 0 where both are 0, infinite where only b is."""
    apart = np.abs(one - other)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(apart == 0, 0.0, apart / np.abs(other))


def table_of_terms(one: Arrays, other: Arrays) -> str:
    """The largest relative difference of each term in each stretch of steps."""
    rows = []
    for term in TERMS:
        apart = relative_differences(one[term], other[term])
        parts = [apart[first - 1 : last] for first, last in STRETCHES if first <= len(apart)]
        rows.append([term, *(f"{part.max():.1e}" for part in parts), f"{apart.max():.1e}"])
    steps = [f"{first}-{last}" if last > first else f"{first}" for first, last in STRETCHES]
    headers = ["term", *(f"steps {name}" for name in steps[: len(rows[0]) - 2]), "largest"]
    return tabulate.tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def table_of_tensors(one: Arrays, other: Arrays, most: int = 5) -> str:
    """The tensors that are farthest apart: norm of the difference over norm."""
    apart = {name: _distance(one[name], value) for name, value in other.items()}
    farthest = sorted(apart.items(), key=lambda item: -item[1])[:most]
    median = float(np.median(list(apart.values())))
    rows = [[name, f"{value:.1e}"] for name, value in farthest]
    rows.append([f"median of {len(apart)} tensors", f"{median:.1e}"])
    return tabulate.tabulate(rows, ["tensor", "apart"], tablefmt="github", disable_numparse=True)


def share_of_flipped(one: Arrays, other: Arrays) -> float:
    """Share of the numbers whose sign differs."""
    flipped = [np.sum(np.sign(one[name]) != np.sign(value)) for name, value in other.items()]
    return float(sum(flipped) / sum(value.size for value in other.values()))


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    apart = np.linalg.norm(np.asarray(one, np.float64) - other)
    return float(apart / max(np.linalg.norm(other), np.finfo(np.float64).tiny))
