"""Draws trajectories and the distance between them."""

import pathlib
from collections.abc import Mapping

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from trajectory_tables import TERMS, relative_differences

OURS, THEIRS = "fashion-jax", "PyTorch"
INK, BLUE, ORANGE, GREY = "#222222", "#1f6fb4", "#e07b28", "#8a8a8a"

Runs = Mapping[tuple[str, str], Mapping[str, np.ndarray]]


def draw(path: pathlib.Path, runs: Runs, network: str) -> None:
    """Write a picture: the curves of each term above, their relative distances below."""
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": GREY, "text.color": INK})
    figure, axes = plt.subplots(2, len(TERMS), figsize=(12, 5.4), sharex=True, layout="constrained")
    shown = "float32" if (OURS, "float32") in runs else "float64"
    for term, (above, below) in zip(TERMS, axes.T, strict=True):
        _curves(above, runs, term, shown)
        _distances(below, runs, term)
    axes[0, 0].set_ylabel(f"loss, {shown}")
    axes[1, 0].set_ylabel("relative difference")
    for axis in axes[1]:
        axis.set_xlabel("step")
    axes[0, -1].legend(frameon=False)
    handles, labels = axes[1, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    figure.suptitle(f"{network}: the same weights and batches here and in PyTorch")
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _curves(axis: plt.Axes, runs: Runs, term: str, dtype: str) -> None:
    steps = np.arange(1, 1 + len(runs[OURS, dtype][term]))
    axis.plot(steps, runs[THEIRS, dtype][term], color=ORANGE, lw=3, alpha=0.6, label=THEIRS)
    axis.plot(steps, runs[OURS, dtype][term], color=BLUE, lw=1, label=OURS)
    axis.set_title(term)
    axis.spines[["top", "right"]].set_visible(False)
    axis.set_ylim(bottom=0)


def _distances(axis: plt.Axes, runs: Runs, term: str) -> None:
    compared = [
        ((OURS, "float32"), (THEIRS, "float32"), BLUE, "-", "float32: both"),
        ((OURS, "float32"), (OURS, "float64"), GREY, ":", f"{OURS}: float32 and float64"),
        ((THEIRS, "float32"), (THEIRS, "float64"), GREY, "--", f"{THEIRS}: float32 and float64"),
        ((OURS, "float64"), (THEIRS, "float64"), INK, "-", "float64: both"),
    ]
    for one, other, colour, style, label in compared:
        if one in runs and other in runs:
            apart = relative_differences(runs[one][term], runs[other][term])
            steps = np.arange(1, 1 + len(apart))
            apart = np.where(apart > 0, apart, np.nan)  # equal numbers leave a gap
            axis.semilogy(steps, apart, style, color=colour, lw=1.3, label=label)
    axis.axhline(1e-6, color="#c23b3b", lw=0.8)
    axis.set_ylim(1e-17, 1e2)
    axis.spines[["top", "right"]].set_visible(False)
