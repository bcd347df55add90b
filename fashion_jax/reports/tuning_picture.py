"""The curve of an index's recall and speed, as a picture."""

import io
import os

from matplotlib.figure import Figure

from fashion_jax.files import atomic_write
from fashion_jax.retrieval.scann_tuning import Tuning, fastest

_INK, _MUTED, _GOOD = "#1a1c1e", "#9aa0a6", "#0d7a55"


def write_curve(path: str | os.PathLike[str], tuning: Tuning) -> None:
    """Draws a measured curve.

    Args:
        path: of the PNG file; missing folders are made.
        tuning: what was measured.
    """
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    recalls = [point.recall for point in tuning.points]
    speeds = [point.queries_per_second for point in tuning.points]
    axes.scatter(recalls, speeds, s=18, color=_MUTED, label="settings that were tried")
    front = fastest(tuning.points)
    axes.plot(
        [point.recall for point in front],
        [point.queries_per_second for point in front],
        color=_INK,
        label="fastest for its recall",
    )
    axes.axvline(tuning.wanted, color=_GOOD, linestyle="--", label=f"recall {tuning.wanted:g}")
    exact = tuning.exact_queries_per_second
    axes.axhline(exact, color=_MUTED, linestyle=":", label="exact search")
    if tuning.chosen is not None:
        place = tuning.chosen.recall, tuning.chosen.queries_per_second
        axes.plot(*place, "o", color=_GOOD, markersize=9, label=f"chosen: {_settings(tuning)}")
    axes.set_yscale("log")
    axes.set_xlabel(f"recall@{tuning.k} against exact search")
    axes.set_ylabel("queries a second")
    axes.set_title(f"ScaNN on {tuning.rows:,} photos, {tuning.queries:,} queries")
    axes.legend(framealpha=1.0, loc="lower left")
    encoded = io.BytesIO()
    figure.savefig(encoded, format="png")
    atomic_write(path, encoded.getvalue())


def _settings(tuning: Tuning) -> str:
    assert tuning.chosen is not None
    text = f"reorder {tuning.chosen.reorder}"
    if tuning.leaves:
        text += f", {tuning.chosen.leaves_to_search} of {tuning.leaves} leaves"
    return text
