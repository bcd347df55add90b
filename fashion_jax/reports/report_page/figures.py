"""Charts of a report: training history, and the share of queries with a match in the first k."""

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from markupsafe import Markup

from fashion_jax.reports import charts

_MOST_POINTS = 200  # in a line; more than its pixels would only swell the file
_MEAN = "mean_of_datasets"  # in addition to the values of each dataset of several
_TERMS = {
    "loss/total": ("Loss: total", "the weighted sum that is minimised"),
    "loss/identity": ("Loss: identity", "cross entropy over the training products"),
    "loss/triplet": ("Loss: triplet", "hardest positive against hardest negative"),
    "loss/center": ("Loss: center", "squared distance from the product’s center"),
    "triplet/active_fraction": ("Active triplets", "anchors whose triplet loss is above zero"),
    "learning_rate": ("Learning rate", "learning rate of the network’s optimizer"),
}

Values = Float[np.ndarray, " points"]
Series = tuple[Values, Values]
Curve = Sequence[float] | np.ndarray


@dataclasses.dataclass(frozen=True)
class Figure:
    """A chart with a title and an explanation of one line."""

    title: str
    note: str
    chart: Markup


def training_figures(history: Sequence[Mapping[str, object]]) -> list[Figure]:
    """Draws a run's `metrics.jsonl`: validation mAP, then each loss and what else is known.

    Args:
        history: lines of the file; a key may be missing from any of them. A line without a
            number as its `step` is ignored.

    Returns:
        A figure for each kind of value that was recorded.
    """
    lines = [line for line in history if math.isfinite(_number(line.get("step")))]
    # Epochs serve where they tell all steps apart, that is, where they are fractions.
    times = {(_number(line["step"]), _number(line.get("epoch"))) for line in lines}
    epochs = {epoch for _, epoch in times if math.isfinite(epoch)}
    unit = "epoch" if len(epochs) == len(times) else "step"
    keys = dict.fromkeys(itertools.chain.from_iterable(lines))
    series = {key: _series(lines, key, unit) for key in keys}
    losses = sorted(key for key in keys if key.startswith("loss/") and key not in _TERMS)
    known = list(_TERMS)
    terms = [key for key in [*known[:4], *losses, *known[4:]] if key in keys]
    return _validation_figures(series, unit) + [_term_figure(k, series[k], unit) for k in terms]


def cmc_charts(
    trained: Mapping[str, Curve], untrained: Mapping[str, Curve] | None
) -> dict[str, Markup]:
    """Draws cumulative match characteristics: shares of queries with a match in the first k.

    Args:
        trained: share at k = 1, 2, ... per protocol.
        untrained: shares of the untrained network, if measured.

    Returns:
        A chart for each protocol with a curve.
    """
    drawn = {}
    for protocol, curve in trained.items():
        axes = charts.new_axes("k", (0.0, 1.0), log_x=True)
        if other := list((untrained or {}).get(protocol, ())):
            axes.plot(range(1, len(other) + 1), other, label="untrained", **charts.FAINT)
        axes.plot(range(1, len(curve) + 1), curve, label="trained", **charts.MAIN)
        name = f"{protocol}: share of queries with a correct match in the first k answers"
        if len(curve):
            drawn[protocol] = charts.to_svg(axes, name)
    return drawn


def _validation_figures(series: Mapping[str, Series], unit: str) -> list[Figure]:
    """Draws a figure for each dataset that was validated on; the mean of several comes first."""
    groups: dict[str, dict[str, Series]] = {}
    for key, values in series.items():
        if key.startswith("val/") and key.endswith("/mAP"):
            *dataset, protocol = key.removeprefix("val/").removesuffix("/mAP").split("/")
            groups.setdefault("/".join(dataset), {})[protocol] = values
    return [
        _validation_figure(dataset, groups[dataset], unit)
        for dataset in sorted(groups, key=lambda dataset: dataset != _MEAN)
    ]


def _validation_figure(dataset: str, protocols: dict[str, Series], unit: str) -> Figure:
    main = "instance" if "instance" in protocols else next(iter(protocols))
    axes = charts.new_axes(unit, (0.0, 1.0))
    for protocol in sorted(protocols, key=lambda protocol: protocol == main):
        style = charts.MAIN if protocol == main else charts.SECOND
        label = protocol if len(protocols) > 1 else None
        axes.plot(*protocols[protocol], label=label, marker=".", **style)
    x, y = protocols[main]
    # The weights come from the best mean, not from a dataset's own best.
    if dataset in ("", _MEAN) and np.isfinite(y).any():
        best = np.nanargmax(y)
        axes.plot(
            x[best], y[best], label=f"best {y[best]:.3f}, {unit} {x[best]:.4g}", **charts.RING
        )
    title = "mean of the datasets" if dataset == _MEAN else dataset
    name = f"Validation mAP: {title}" if title else "Validation mAP"
    note = "on products kept out of training and test"
    return Figure(name, note, charts.to_svg(axes, name))


def _term_figure(key: str, values: Series, unit: str) -> Figure:
    title, note = _TERMS.get(key, (f"Loss: {key.removeprefix('loss/')}", ""))
    axes = charts.new_axes(unit)
    axes.plot(*(_thinned(part) for part in values), **charts.MAIN)
    return Figure(title, note, charts.to_svg(axes, title))


def _number(value: object) -> float:
    """Return a number unchanged; NaN for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        return math.nan
    return float(value)


def _series(lines: Sequence[Mapping[str, object]], key: str, unit: str) -> Series:
    """Times and values of the lines that have a key; what is not a number becomes NaN."""
    rows = [(_number(line[unit]), _number(line[key])) for line in lines if key in line]
    times, values = np.array(sorted(rows, key=lambda row: row[0])).T
    return times, np.where(np.isfinite(values), values, np.nan)


def _thinned(values: Values) -> Float[np.ndarray, " runs"]:
    """Means over runs of neighbours; a run with a NaN shows as a gap."""
    runs = np.array_split(values, min(len(values), _MOST_POINTS))
    return np.array([run.mean() for run in runs])
