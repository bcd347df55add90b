"""The report's curves of an index: how much recall costs how much speed."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup

from fashion_jax.reports.charts import Line, Note, line_chart
from fashion_jax.retrieval.scann_tuning import Point, Tuning, fastest


@dataclasses.dataclass(frozen=True)
class IndexCurve:
    """The curve of a segment of an index.

    Attributes:
        segment: its folder's name.
        tuning: what was measured.
        points: the fastest for their recall, and the chosen one; the fastest first.
        chart: recall over speed.
    """

    segment: str
    tuning: Tuning
    points: Sequence[Point]
    chart: Markup


def index_curves(tunings: Mapping[str, Tuning]) -> list[IndexCurve]:
    """A curve for each tuned segment of an index, in their order."""
    return [_curve(segment, tuning) for segment, tuning in tunings.items()]


def _curve(segment: str, tuning: Tuning) -> IndexCurve:
    # One that is as fast as the chosen one may find more, and stand in its place.
    kept = {*fastest(tuning.points), *([tuning.chosen] if tuning.chosen else [])}
    points = sorted(kept, key=lambda point: (-point.queries_per_second, -point.recall))
    return IndexCurve(segment, tuning, points, _chart(tuning, points[::-1]))


def _chart(tuning: Tuning, points: Sequence[Point]) -> Markup:
    """Recall over speed of points that rise in speed, beside exact search."""
    speeds = np.array([point.queries_per_second for point in points])
    recalls = np.array([point.recall for point in points])
    exact = np.array([tuning.exact_queries_per_second])
    chosen = tuning.chosen
    return line_chart(
        [Line("exact", exact, np.ones(1), "faint"), Line("ScaNN", speeds, recalls, dots=True)],
        name=f"Recall@{tuning.k} over speed",
        x_label="queries a second",
        y_high=1.0,
        log_x=True,
        note=Note(chosen.queries_per_second, chosen.recall, "chosen") if chosen else None,
    )
