"""Templates and number formats of all HTML pages.

A page loads nothing, runs no script, and forbids both by its content security policy
(`report_page/base.html`), whatever names and photos it shows: it can be mailed and archived.
"""

import base64
import functools
import math
from typing import Any

import jinja2
from markupsafe import Markup, escape

from fashion_jax.reports.report_page import tables

UNKNOWN = "–"


def render_page(template: str, **values: Any) -> str:
    """Render a page as HTML.

    Args:
        template: file in `report_page/` that extends `base.html`.
        **values: values for the template; a missing one is an error.
    """
    return _templates().get_template(template).render(**values)


def score(value: float | None) -> str:
    """Format a metric with three decimals, or as a dash if unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{round(value, 3) + 0.0:.3f}".replace("-", "−")  # + 0.0: no negative zero


def gain(value: float | None) -> str:
    """Format a difference of metrics with its sign."""
    sign = "+" if value is not None and math.isfinite(value) and round(value, 3) > 0 else ""
    return sign + score(value)


def breakable(name: str) -> Markup:
    """Lets a long name break after its underscores.

    Examples:
        >>> breakable("a_b<c")
        Markup('a_<wbr>b&lt;c')
    """
    return Markup(escape(name).replace("_", Markup("_<wbr>")))


def bar(value: float, reference: float | None = None) -> Markup:
    """Draws a horizontal bar for a value in 0..1, with a stroke at a reference value.

    Screen readers skip it: the number is next to it.
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


@functools.cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fashion_jax.reports", "report_page"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": score,
        "gain": gain,
        "count": lambda value: f"{value:,}",
        "percent": lambda part, whole: f"{100 * part / whole:.1f} %" if whole else UNKNOWN,
        "jpeg_uri": lambda jpeg: "data:image/jpeg;base64," + base64.b64encode(jpeg).decode(),
        "plain": tables.plain,
        "words": lambda name: str(name).replace("_", " "),
        "breakable": breakable,
        "bar": bar,
    }
    return environment
