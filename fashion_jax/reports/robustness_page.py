"""Robustness page: a table, and the curve of each corruption with example photos."""

import json
import pathlib
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from fashion_jax.evaluation.robustness_result import ACC_1, MAP, CorruptionResult, Robustness
from fashion_jax.files import atomic_write
from fashion_jax.inference.card import ModelCard
from fashion_jax.reports import charts
from fashion_jax.reports.page import render_page
from fashion_jax.reports.robustness_strips import Strip

JSON_NAME = "robustness.json"


def write_robustness(
    page: pathlib.Path, robustness: Robustness, strips: Mapping[str, Sequence[Strip]], model: str
) -> None:
    """Write the page, and `robustness.json` next to it.

    Args:
        page: HTML file.
        robustness: results.
        strips: example photos by corruption.
        model: description of the model.
    """
    numbers = json.dumps(robustness.to_json(), indent=2) + "\n"
    atomic_write(page.with_name(JSON_NAME), numbers.encode())
    atomic_write(page, render_robustness(robustness, strips, model).encode())


def render_robustness(
    robustness: Robustness, strips: Mapping[str, Sequence[Strip]], model: str
) -> str:
    """Render the page as HTML; see `write_robustness`."""
    return render_page(
        "robustness.html",
        robustness=robustness,
        model=model,
        results=robustness.sorted_results(),
        charts={result.name: _chart(result) for result in robustness.results},
        strips=strips,
        mAP=MAP,
        acc_1=ACC_1,
    )


def model_in_words(card: ModelCard) -> str:
    """Describe a model in one line."""
    return (
        f"{card.backbone}, {card.image_height}×{card.image_width} pixels, trained on "
        f"{card.dataset}, checkpoint of step {card.step} (best validation mAP)"
    )


def _chart(result: CorruptionResult) -> Markup:
    axes = charts.new_axes("severity", (0.0, 1.0))
    for label, metric, style in (("Acc@1", ACC_1, charts.SECOND), ("mAP", MAP, charts.MAIN)):
        curve = result.curves[metric]
        axes.plot(curve.severities, curve.values, label=label, marker=".", **style)
    return charts.to_svg(axes, f"{result.name.replace('_', ' ')}: Acc@1 and mAP over severity")
