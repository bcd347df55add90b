"""The report's charts: how the training went, and how soon a ranking holds the right product."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from fashion_jax.reports.charts import Line, Note, line_chart

_MOST_POINTS = 200  # of a line; more than its pixels would only swell the file
_VALIDATION, _LOSS = "val/", "loss/"
_MEAN = "mean_of_datasets"  # beside the values of each dataset, where a run has several
_NOTES = {
    "loss/total": "the weighted sum that is minimised",
    "loss/identity": "cross entropy over the training products",
    "loss/triplet": "hardest positive against hardest negative",
    "loss/center": "squared distance from the product’s center",
    "triplet/active_fraction": "anchors whose triplet still costs something",
    "learning_rate": "of the network’s optimizer",
}
_TITLES = {"triplet/active_fraction": "Active triplets", "learning_rate": "Learning rate"}

Values = Float[np.ndarray, " points"]
Means = Float[np.ndarray, " runs"]


@dataclasses.dataclass(frozen=True)
class Figure:
    """A chart with its title and one line on what it shows."""

    title: str
    note: str
    chart: Markup


def training_figures(history: Sequence[Mapping[str, object]]) -> list[Figure]:
    """Charts of a run's `metrics.jsonl`: validation mAP, each loss term, and what else is there.

    Args:
        history: its lines; a key may be missing from any of them. A line without a number as
            its `step` is passed over.

    Returns:
        A figure for each kind of value that was recorded at all.
    """
    lines = [line for line in history if _number(line.get("step")) is not None]
    unit = _time_unit(lines)
    keys = dict.fromkeys(key for line in lines for key in line)
    losses = sorted((key for key in keys if key.startswith(_LOSS)), key=_loss_order)
    figures: list[Figure | None] = [
        _validation_figure(lines, group, group_keys, unit)
        for group, group_keys in _validation_groups(list(keys)).items()
    ]
    figures += [
        _term_figure(lines, key, unit)
        for key in (*losses, "triplet/active_fraction", "learning_rate")
    ]
    return [figure for figure in figures if figure is not None]


def cmc_charts(
    trained: Mapping[str, Sequence[float] | np.ndarray],
    untrained: Mapping[str, Sequence[float] | np.ndarray] | None,
) -> dict[str, Markup]:
    """Cumulative match characteristic: the share of queries with a match in the first k answers.

    Args:
        trained: per protocol, the share at k = 1, 2, ....
        untrained: the same of the untrained network, if it was measured.

    Returns:
        A chart for each protocol with a curve.
    """
    charts = {}
    for protocol, curve in trained.items():
        lines = [_cmc_line("trained", curve, "main")]
        if untrained and protocol in untrained:
            lines.insert(0, _cmc_line("untrained", untrained[protocol], "faint"))
        lines = [line for line in lines if line.x.size]
        if lines:
            name = f"{protocol}: share of queries with the right product in the first k answers"
            charts[protocol] = line_chart(lines, name=name, x_label="k", y_high=1.0, log_x=True)
    return charts


def _cmc_line(label: str, curve: Sequence[float] | np.ndarray, style: str) -> Line:
    values = np.asarray(curve, dtype=np.float64)
    return Line(label, np.arange(1.0, values.size + 1), values, style)


def _validation_groups(keys: Sequence[str]) -> dict[str, list[str]]:
    """Names of validation's mAP by dataset: "" where a run has only one, else the mean first."""
    groups: dict[str, list[str]] = {}
    for key in keys:
        if key.startswith(_VALIDATION) and key.endswith("/mAP"):
            group = key.removeprefix(_VALIDATION).removesuffix("/mAP").rpartition("/")[0]
            groups.setdefault(group, []).append(key)
    return dict(sorted(groups.items(), key=lambda item: item[0] != _MEAN))


def _validation_figure(
    lines: Sequence[Mapping[str, object]], group: str, keys: Sequence[str], unit: str
) -> Figure:
    prefix = f"{_VALIDATION}{group}/" if group else _VALIDATION
    key = f"{prefix}instance/mAP" if f"{prefix}instance/mAP" in keys else keys[0]
    drawn = []
    for other in sorted(keys, key=lambda other: other == key):
        label = other.removeprefix(prefix).removesuffix("/mAP") if len(keys) > 1 else ""
        style = "main" if other == key else "second"
        drawn.append(Line(label, *_series(lines, other, unit), style, dots=True))
    # The weights come from the best mean, not from a dataset's own best.
    note = _best(drawn[-1], unit) if group in ("", _MEAN) else None
    title = "mean of the datasets" if group == _MEAN else group
    name = f"Validation mAP: {title}" if title else "Validation mAP"
    chart = line_chart(drawn, name=name, x_label=unit, y_high=1.0, note=note)
    return Figure(name, "on products kept out of training and test", chart)


def _best(line: Line, unit: str) -> Note | None:
    """The best validation: there the reported weights come from."""
    if not np.isfinite(line.y).any():
        return None
    best = int(np.nanargmax(np.where(np.isfinite(line.y), line.y, -np.inf)))
    x, y = float(line.x[best]), float(line.y[best])
    return Note(x, y, f"best {y:.3f}, {unit} {x:.4g}")


def _term_figure(lines: Sequence[Mapping[str, object]], key: str, unit: str) -> Figure | None:
    x, y = _series(lines, key, unit)
    if not x.size:
        return None
    title = _TITLES.get(key) or f"Loss: {key.removeprefix(_LOSS)}"
    chart = line_chart([Line("", *_thinned(x, y))], name=title, x_label=unit)
    return Figure(title, _NOTES.get(key, ""), chart)


def _loss_order(key: str) -> tuple[int, str]:
    known = list(_NOTES)
    return (known.index(key) if key in known else len(known), key)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return None
    return float(value)


def _time_unit(lines: Sequence[Mapping[str, object]]) -> str:
    """`epoch` where it tells all steps apart, that is, where it is counted in fractions."""
    times = {(_number(line["step"]), _number(line.get("epoch"))) for line in lines}
    epochs = {epoch for _, epoch in times if epoch is not None}
    return "epoch" if len(epochs) == len(times) else "step"


def _series(lines: Sequence[Mapping[str, object]], key: str, unit: str) -> tuple[Values, Values]:
    """Times and values of the lines that have the key; what is not a number becomes NaN."""
    rows = []
    for line in lines:
        time = _number(line.get(unit))
        if key in line and time is not None:
            value = _number(line[key])
            rows.append((time, np.nan if value is None else value))
    table = np.array(sorted(rows, key=lambda row: row[0]), dtype=np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _thinned(x: Values, y: Values) -> tuple[Means, Means]:
    """Means over runs of neighbouring points; a run with a non-finite value shows as a gap."""
    if x.size <= _MOST_POINTS:
        return x, y
    starts = np.linspace(0, x.size, _MOST_POINTS, endpoint=False).astype(int)
    counts = np.diff(np.append(starts, x.size))
    y = np.where(np.isfinite(y), y, np.nan)
    return np.add.reduceat(x, starts) / counts, np.add.reduceat(y, starts) / counts
