"""Recall of a tuned index over its speed, as a chart for a page or as a picture."""

import io
import os
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from fashion_jax.files import atomic_write
from fashion_jax.reports import charts
from fashion_jax.retrieval.scann_tuning import Point, Tuning, fastest


def best_points(tuning: Tuning) -> list[Point]:
    """Return the points that are the fastest for their recall, and the chosen one, by speed."""
    # A point as fast as the chosen one may find more, and be the fastest in its place.
    points = {*fastest(tuning.points), *([tuning.chosen] if tuning.chosen else [])}
    return sorted(points, key=lambda point: (-point.queries_per_second, -point.recall))


def tuning_chart(tuning: Tuning) -> Markup:
    """Draws a measured curve for a page."""
    return charts.to_svg(_axes(tuning), f"Recall@{tuning.k} over speed")


def write_curve(path: str | os.PathLike[str], tuning: Tuning) -> None:
    """Write a measured curve.

    Args:
        path: PNG file; missing folders are made.
        tuning: measurements.
    """
    axes = _axes(tuning)
    title = f"ScaNN on {tuning.rows:,} photos, {tuning.queries:,} queries"
    if chosen := tuning.chosen:
        leaves = f", {chosen.leaves_to_search} of {tuning.leaves} leaves" if tuning.leaves else ""
        title += f"\nchosen: reorder {chosen.reorder}{leaves}"
    axes.set_ylabel(f"recall@{tuning.k} against exact search")
    figure = charts.finish(axes)
    figure.suptitle(title, size=11, x=0.99, ha="right")  # the legend is at the left
    figure.set_size_inches(9.6, 6)
    encoded = io.BytesIO()
    figure.savefig(encoded, dpi=100)
    atomic_write(path, encoded.getvalue())


def _axes(tuning: Tuning) -> Axes:
    axes = charts.new_axes("queries per second", (1.0, 1.0), log_x=True)
    _plot(axes, "settings tried", tuning.points, charts.DOTS)
    _plot(axes, "ScaNN", best_points(tuning)[::-1], charts.MAIN | {"marker": "."})
    axes.axhline(tuning.wanted, label=f"recall {tuning.wanted:g}", **charts.FAINT)
    exact = Point(0, 0, 1.0, tuning.exact_queries_per_second)
    _plot(axes, "exact search", [exact], charts.SECOND | {"marker": "o", "linestyle": ""})
    if tuning.chosen:
        _plot(axes, "chosen", [tuning.chosen], charts.RING)
    return axes


def _plot(axes: Axes, label: str, points: Sequence[Point], style: dict[str, Any]) -> None:
    speeds = [point.queries_per_second for point in points]
    axes.plot(speeds, [point.recall for point in points], label=label, **style)
