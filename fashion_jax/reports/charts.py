"""Small Matplotlib charts, as SVG that takes fonts and colours from the page around it.

A chart is about 340 pixels wide, on a phone as on a wide screen: as many as fit stand side by
side, and none shrinks until it is unreadable.
"""

import io
import pathlib
import re
import warnings
from typing import Any, cast

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

# Names and values of the colours in the page's light theme.
_CSS = (pathlib.Path(__file__).parent / "report_page" / "style.css").read_text("utf-8")
COLOURS = dict(re.findall(r"--(\w+): (#\w{6});", _CSS.partition("@media")[0]))
_VARIABLES = {value: f"var(--{name})" for name, value in COLOURS.items()}

# Options of `Axes.plot`; `marker="."` adds dots.
MAIN: dict[str, Any] = {"color": COLOURS["trained"], "linewidth": 1.8, "markersize": 8}
SECOND = MAIN | {"color": COLOURS["second"], "linestyle": "--"}
FAINT = MAIN | {"color": COLOURS["faint"], "linestyle": ":"}
DOTS = FAINT | {"linestyle": "", "marker": "."}
RING = DOTS | {"color": COLOURS["ink"], "marker": "o", "markersize": 9, "fillstyle": "none"}

_STYLE: Any = {
    "font.size": 11,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.labelcolor": COLOURS["muted"],
    "svg.fonttype": "none",  # text, in the font of the page
}


@matplotlib.rc_context(_STYLE)
def new_axes(x_label: str, y_range: tuple[float, float] = (0.0, 0.0), log_x: bool = False) -> Axes:
    """Make axes to plot lines on, in their own figure.

    Args:
        x_label: unit of the x axis.
        y_range: values that the y axis includes in addition to the data.
        log_x: whether the x axis is logarithmic; otherwise it includes 0.
    """
    figure = Figure(figsize=(340 / 72, 200 / 72), dpi=72, layout="constrained")
    axes = figure.add_subplot(frameon=False, xlabel=x_label, xmargin=0)
    axes.update_datalim([(0, y) for y in y_range], updatex=not log_x)
    axes.set_xscale("log" if log_x else "linear")
    return axes


@matplotlib.rc_context(_STYLE)
def finish(axes: Axes) -> Figure:
    """Add what depends on the lines: ticks, legend, and dots for points without neighbours."""
    for line in axes.lines:
        line.set_clip_on(False)  # a dot on the edge is whole
        finite = np.pad(np.isfinite(line.get_ydata()), 1)
        lonely = finite[1:-1] & ~finite[:-2] & ~finite[2:]
        if lonely.any() and line.get_marker() == "None":
            line.set(marker=".", markevery=lonely)
    low, high = axes.dataLim.intervaly
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high if high > low else low + 1)
    axes.set(yticks=ticks, ylim=(ticks[0], ticks[-1]))
    if axes.get_xscale() == "log":
        low, high = axes.dataLim.intervalx
        # Over many powers of ten, labels between them would overlap.
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 200 * low else (1,)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_tick_label)
    axes.tick_params(length=0, pad=6, labelcolor=COLOURS["muted"])
    axes.grid(axis="y", color=COLOURS["rule"])
    axes.axhline(max(0, ticks[0]), color=COLOURS["faint"], linewidth=1, zorder=1)
    if axes.get_legend_handles_labels()[1]:
        options = {"borderpad": 0, "columnspacing": 1, "handlelength": 1.6, "handletextpad": 0.5}
        axes.figure.legend(loc="outside upper left", ncols=3, frameon=False, **options)
    return cast(Figure, axes.figure)


def _tick_label(value: float, _: Any) -> str:
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{value + 0.0:,.6g}")  # 3e-5; + 0.0: no negative zero


@matplotlib.rc_context(_STYLE)
def to_svg(axes: Axes, name: str) -> Markup:
    """Finishes a chart as an `<svg>` element without ids, references and scripts.

    Args:
        axes: axes from `new_axes`, with lines on them.
        name: title for screen readers, which are told the lines' first and last values as well.
    """
    said = []
    for line in axes.lines:
        y = np.array(line.get_ydata())
        if (y := y[np.isfinite(y)]).size:
            label = re.sub("^_.*", "it", str(line.get_label()))
            said.append(f"{label} goes from {y[0]:.3g} to {y[-1]:.3g}")
    name = "; ".join([name, *said]) if said else f"{name}: nothing recorded"
    if said:
        finish(axes)
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "nothing recorded", ha="center", transform=axes.transAxes)
    file = io.StringIO()
    with warnings.catch_warnings():
        # Letters that Matplotlib's font lacks come from a font of the browser.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        cast(Figure, axes.figure).savefig(file, format="svg", transparent=True)
    svg = '<svg class="chart" viewBox="0 0 340 200" role="img" aria-label="{}">{}</svg>'
    return Markup(svg).format(name, _for_page(file.getvalue()))


def _for_page(svg: str) -> Markup:
    """Take the shapes out of Matplotlib's SVG, which is made for a file of its own."""
    radii = dict(re.findall(r'<path id="(m\w+)" d="M 0 ([\d.]+)', svg))  # of dots

    def rewrite(tag: re.Match[str]) -> str:
        text = re.sub(r' (id|clip-path|transform)="[^"]*"|font-family[^;]*; |\n', "", tag[0])
        text = re.sub(
            r'use xlink:href="#(\w+)" x=("\S+") y=',
            lambda use: f'circle r="{radii[use[1]]}" cx={use[2]} cy=',
            text,
        )
        text = re.sub(r"\d+\.\d\d+", lambda number: f"{float(number[0]):.1f}", text)
        return re.sub("#[0-9a-f]{6}", lambda colour: _VARIABLES[colour[0]], text)

    shapes = svg[svg.index("<g ") : svg.rindex("</g>") + 4]
    shapes = re.sub(r"(?s)<defs>.*?</defs>|<!--.*?-->|(?<=>)\s+(?=<)", "", shapes)
    return Markup(re.sub("<[^>]*>", rewrite, shapes))
