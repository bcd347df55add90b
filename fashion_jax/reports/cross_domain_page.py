"""Page of a train × test matrix: heat maps, all numbers, models and datasets.

Heat maps are HTML tables: their numbers can be read aloud, selected and wrapped, and CSS mixes
their colours for both themes.
"""

import dataclasses
import math
import os
from collections.abc import Mapping

from fashion_jax.evaluation.cross_domain_result import Cell, CrossDomainResult, SearchedDataset
from fashion_jax.files import atomic_write
from fashion_jax.reports.page import render_page
from fashion_jax.reports.report_page import tables

HEAT_MAPS = ("mAP", "Acc@1")  # each by every protocol; the other metrics stand in tables

# From here on a cell's colour asks for the page's paper as its ink; cross_domain.css has the
# colours, chosen so that both inks have a contrast of 4.5 or more on either side, light and dark.
_DEEP = 0.72


@dataclasses.dataclass(frozen=True)
class HeatMap:
    """One metric of all cells.

    Attributes:
        protocol: name such as `instance`.
        metric: name such as `mAP`.
        meaning: explanation of the protocol.
        rows: square for each dataset, per run.
    """

    protocol: str
    metric: str
    meaning: str
    rows: list[list["Square"]]


@dataclasses.dataclass(frozen=True)
class Square:
    """A cell of a heat map.

    Attributes:
        value: value of the metric.
        gap: difference from another run that was trained on the dataset, if any.
        own: whether the run was trained on the dataset.
        heat: strength of the colour, 0..1; None where the value is not finite.
        deep: whether the colour needs the other ink.
    """

    value: float
    gap: float | None
    own: bool
    heat: float | None
    deep: bool


def write_cross_domain_page(
    path: str | os.PathLike[str],
    result: CrossDomainResult,
    command: str,
    environment: Mapping[str, object],
) -> None:
    """Write the page atomically: an interrupted write leaves the previous page.

    Args:
        path: HTML file; missing folders are made.
        result: measurements.
        command: command that reproduces the page.
        environment: versions, devices, time taken.
    """
    atomic_write(path, render_cross_domain(result, command, environment).encode())


def render_cross_domain(
    result: CrossDomainResult, command: str, environment: Mapping[str, object]
) -> str:
    """Render the page as HTML; see `write_cross_domain_page`."""
    return render_page(
        "cross_domain.html",
        result=result,
        heat_maps=heat_maps(result),
        skipped={each.name: _skipped(result, each) for each in result.datasets},
        usable={each.name: tables.usable_photos(each.coverage) for each in result.datasets},
        protocols=tables.PROTOCOLS,
        meaning=tables.meaning,
        # What settings.html shows.
        data={"command": command, "environment": environment},
        settings=[],
    )


def heat_maps(result: CrossDomainResult) -> list[HeatMap]:
    """Make heat maps of the metrics in `HEAT_MAPS` for every protocol."""
    return [
        HeatMap(
            protocol,
            metric,
            tables.PROTOCOLS.get(protocol, ""),
            [
                [
                    _square(result, result.cell(run.name, dataset.name), f"{protocol}/{metric}")
                    for dataset in result.datasets
                ]
                for run in result.runs
            ],
        )
        for protocol in result.protocols()
        for metric in result.metric_names(protocol)
        if metric in HEAT_MAPS
    ]


def _square(result: CrossDomainResult, cell: Cell, metric: str) -> Square:
    value = cell.metric(metric)
    heat = min(max(value, 0.0), 1.0) if math.isfinite(value) else None
    return Square(
        value, result.gap(cell, metric), cell.own, heat, heat is not None and heat >= _DEEP
    )


def _skipped(result: CrossDomainResult, dataset: SearchedDataset) -> dict[str, Mapping[str, int]]:
    """Count skipped queries by protocol and reason, which depend on the labels alone."""
    return dict(result.cell(result.runs[0].name, dataset.name).skipped)
