"""Small SVG charts for an HTML page: no script, and every colour and font comes from its CSS.

A chart is meant to be shown about 340 pixels wide, on a phone as on a wide screen: side by side
as many as fit, instead of one that shrinks until nobody can read it.
"""

import dataclasses
import html
import itertools
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from markupsafe import Markup

_WIDTH, _HEIGHT = 340.0, 200.0
_LEFT, _TOP, _BOTTOM = 42.0, 16.0, 34.0
_LABEL_GAP = 12.0  # pixels between the baselines of two labels
_CHARACTER = 6.2  # pixels, a generous mean of the page's 11 px fonts

Points = Float[np.ndarray, " points"]


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        label: written at its right end; empty for none.
        x: positions; finite.
        y: values; the line has a gap where one is not finite.
        style: `main`, `second` or `faint`, a class in the page's CSS.
        dots: whether each point gets a dot.
    """

    label: str
    x: Points
    y: Points
    style: str = "main"
    dots: bool = False


@dataclasses.dataclass(frozen=True)
class Note:
    """A point of a chart that is worth a few words."""

    x: float
    y: float
    text: str


@dataclasses.dataclass(frozen=True)
class Axis:
    """A range of values, laid along `length` pixels from `start`; a negative length grows upwards.

    Attributes:
        low: value at `start`.
        high: value at `start + length`.
        start: pixel of `low`.
        length: pixels from `low` to `high`.
        ticks: values to be labelled.
        log: whether equal ratios, not equal differences, are equally far apart.
    """

    low: float
    high: float
    start: float
    length: float
    ticks: tuple[float, ...]
    log: bool = False

    def place(self, value: float) -> float:
        """Pixel of a value; beyond the range, pixel of the range's end."""
        low, high, value = (
            math.log(v) if self.log else v for v in (self.low, self.high, max(value, self.low))
        )
        fraction = (min(value, high) - low) / (high - low) if high > low else 0.5
        return self.start + fraction * self.length


def line_chart(
    lines: Sequence[Line],
    *,
    name: str,
    x_label: str,
    y_high: float | None = None,
    log_x: bool = False,
    note: Note | None = None,
) -> Markup:
    """Lines over a common x axis, each labelled at its right end.

    Args:
        lines: drawn in this order; those without a finite value are left out.
        name: what the chart shows, for those who do not see it.
        x_label: unit of the x axis.
        y_high: top of the y axis; by default just above the greatest value. Its foot is 0, or
            just below the least value where that is negative.
        log_x: whether the x axis is logarithmic; then every x must be positive.
        note: a point to be pointed out.

    Returns:
        An `<svg>` element; one that says so if there is nothing to draw.
    """
    lines = [line for line in lines if np.isfinite(line.y).any()]
    if not lines:
        return _svg(f"{name}: nothing recorded", _text(_WIDTH / 2, _HEIGHT / 2, "nothing recorded"))
    right = _WIDTH - 12 - _CHARACTER * max(len(line.label) for line in lines)
    x_axis = _x_axis(lines, right - _LEFT, log_x)
    y_axis = _y_axis(lines, y_high)
    parts = [_y_grid(y_axis, right), _x_ticks(x_axis, x_label)]
    parts += [_line(line, x_axis, y_axis) for line in lines]
    parts += _end_labels(lines, y_axis, right + 8)
    if note is not None:
        parts.append(_note(note, x_axis, y_axis))
    return _svg("; ".join([name, *(_summary(line) for line in lines)]), *parts)


def bar(value: float, reference: float | None = None) -> Markup:
    """A horizontal bar for a value in 0..1, with a stroke at the reference it is compared to.

    It says nothing that the number beside it does not, so screen readers pass over it.
    """
    parts = ['<rect class="track" width="100" height="8"/>']
    if math.isfinite(value):
        width = 100 * min(max(value, 0.0), 1.0)
        parts.append(f'<rect class="value" width="{width:.1f}" height="8"/>')
    if reference is not None and math.isfinite(reference):
        x = f"{100 * min(max(reference, 0.0), 1.0):.1f}"
        parts.append(f'<path class="reference" d="M{x} -3V11"/>')
    attributes = 'class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true"'
    return Markup(f"<svg {attributes}>{''.join(parts)}</svg>")


def round_ticks(low: float, high: float, most: int = 5) -> tuple[float, ...]:
    """Multiples of 1, 2 or 5 times a power of ten that span a range from within.

    Example:
        >>> round_ticks(0.0, 1.0)
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
        >>> round_ticks(0.0, 12.0)
        (0.0, 5.0, 10.0)
    """
    if not high > low:
        return (low,)
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))


def tick_label(value: float) -> str:
    """A tick's number, at most six characters.

    Example:
        >>> [tick_label(value) for value in (0.0, 0.25, 3e-4, 12_000.0, 2.5e6)]
        ['0', '0.25', '3e-4', '12,000', '2.5e6']
    """
    if value == 0:
        return "0"
    if 1e-3 <= abs(value) < 1e5:
        return f"{value:,.6g}" if abs(value) >= 1000 else f"{value:.4g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _x_axis(lines: Sequence[Line], length: float, log: bool) -> Axis:
    xs = np.concatenate([line.x for line in lines])
    low, high = float(xs.min()), float(xs.max())
    if log:
        return Axis(low, high, _LEFT, length, _log_ticks(low, high), log=True)
    low = 0.0 if 0 < low < 0.1 * high else low
    ticks = round_ticks(low, high + 0.02 * (high - low), most=7)
    return Axis(low, max(high, ticks[-1]), _LEFT, length, ticks)


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    candidates = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    ticks = tuple(tick for tick in candidates if low <= tick <= high)
    # Over many powers of ten there is no room for the numbers between them.
    return ticks if len(ticks) <= 7 else tuple(10.0**p for p in powers if low <= 10.0**p <= high)


def _y_axis(lines: Sequence[Line], high: float | None) -> Axis:
    ys = np.concatenate([line.y[np.isfinite(line.y)] for line in lines])
    low = min(0.0, float(ys.min()))
    if high is None:
        high = float(ys.max()) if float(ys.max()) > low else low + 1.0
        ticks = round_ticks(low, high)
        high = max(high, 2 * ticks[-1] - ticks[-2]) if ticks[-1] < high else high
    return Axis(low, high, _HEIGHT - _BOTTOM, _TOP + _BOTTOM - _HEIGHT, round_ticks(low, high))


def _y_grid(axis: Axis, right: float) -> str:
    parts = []
    for tick in axis.ticks:
        y = axis.place(tick)
        rule = "base" if tick == 0 else "grid"
        parts.append(f'<path class="{rule}" d="M{_LEFT:g} {y:.1f}H{right:.1f}"/>')
        parts.append(_text(_LEFT - 6, y + 3.8, tick_label(tick), anchor="end"))
    return "".join(parts)


def _x_ticks(axis: Axis, label: str) -> str:
    y = _HEIGHT - _BOTTOM
    parts = []
    for tick in axis.ticks:
        x = axis.place(tick)
        parts.append(f'<path class="base" d="M{x:.1f} {y:g}v4"/>')
        parts.append(_text(x, y + 15, tick_label(tick)))
    return "".join(parts) + _text(axis.start + axis.length / 2, y + 30, label, style="unit")


def _line(line: Line, x_axis: Axis, y_axis: Axis) -> str:
    finite = np.isfinite(line.y)
    xs = [x_axis.place(float(x)) for x in line.x]
    ys = [y_axis.place(float(y)) if ok else 0.0 for y, ok in zip(line.y, finite, strict=True)]
    path = [
        f"{'L' if index and finite[index - 1] else 'M'}{x:.1f} {y:.1f}"
        for index, (x, y) in enumerate(zip(xs, ys, strict=True))
        if finite[index]
    ]
    dotted = finite if line.dots else _lonely(finite)
    dots = [
        f'<circle class="dot {line.style}" cx="{xs[i]:.1f}" cy="{ys[i]:.1f}" r="2.4"/>'
        for i in np.flatnonzero(dotted)
    ]
    return f'<path class="line {line.style}" d="{"".join(path)}"/>' + "".join(dots)


def _lonely(finite: Bool[np.ndarray, " points"]) -> Bool[np.ndarray, " points"]:
    """Points without a neighbour, which a line alone would not show."""
    padded = np.pad(finite, 1)
    return finite & ~padded[:-2] & ~padded[2:]


def _end_labels(lines: Sequence[Line], y_axis: Axis, x: float) -> list[str]:
    wanted = [y_axis.place(float(line.y[np.isfinite(line.y)][-1])) for line in lines]
    lowest = y_axis.start
    return [
        _text(x, y + 3.8, line.label, anchor="start", style=f"name {line.style}")
        for line, y in zip(lines, _spread(wanted, lowest), strict=True)
        if line.label
    ]


def _spread(wanted: Sequence[float], lowest: float) -> list[float]:
    """Moves labels apart until none covers another: down first, then up from the lowest line."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    places = list(wanted)
    for above, below in itertools.pairwise(order):
        places[below] = max(places[below], places[above] + _LABEL_GAP)
    limit = lowest
    for index in reversed(order):
        places[index] = min(places[index], limit)
        limit = places[index] - _LABEL_GAP
    return places


def _note(note: Note, x_axis: Axis, y_axis: Axis) -> str:
    x, y = x_axis.place(note.x), y_axis.place(note.y)
    anchor = "end" if x > x_axis.start + x_axis.length / 2 else "start"
    below = y < (_TOP + _HEIGHT - _BOTTOM) / 2
    circle = f'<circle class="ring" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    return circle + _text(x, y + 25 if below else y - 9, note.text, anchor=anchor, style="note")


def _text(x: float, y: float, text: str, anchor: str = "middle", style: str = "tick") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text class="{style}" {place}>{html.escape(text)}</text>'


def _summary(line: Line) -> str:
    values = line.y[np.isfinite(line.y)]
    return f"{line.label or 'it'} goes from {values[0]:.3g} to {values[-1]:.3g}"


def _svg(name: str, *parts: str) -> Markup:
    attributes = f'class="chart" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" role="img"'
    return Markup(f'<svg {attributes} aria-label="{html.escape(name)}">{"".join(parts)}</svg>')
