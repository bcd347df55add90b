"""Tables of a report: metrics, compared with the untrained network, and settings."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from fashion_jax.metrics import protocol as protocols

PROTOCOLS = {name: protocol.meaning for name, protocol in protocols.PROTOCOLS.items()}
KEY_METRICS = ("mAP", "Acc@1", "Acc@20")

_MEANINGS = {
    "mAP": "precision at the rank of each correct match, averaged",
    "MRR": "reciprocal rank of the first correct match, averaged",
    "mINP": "number of correct matches divided by the rank of the last one, averaged",
    "R-precision": "precision among the first R answers (R: number of correct matches)",
    "MAP@R": "mAP over the first R answers (R: number of correct matches), divided by R",
}
_MEANINGS_AT = {
    "Acc": "share of queries with a photo of the same product {place}",
    "Recall": "share of a query’s correct matches found {place}",
    "nDCG": "correct matches {place}, discounted by the logarithm of their rank",
}

# Defects of unusable raw photos, by the names of the build report.
_DEFECTS = ("missing", "empty", "truncated", "not_an_image", "unsupported_format")


@dataclasses.dataclass(frozen=True)
class MetricRow:
    """One metric.

    Attributes:
        name: name without the protocol.
        trained: value of the trained network.
        untrained: value of the untrained network, or None.
        gain: `trained` minus `untrained`, or None.
        refined: value with refined embeddings, or None.
        interval: 95 % interval of `trained`, or None.
        meaning: explanation of one line.
    """

    name: str
    trained: float
    untrained: float | None
    gain: float | None
    refined: float | None
    interval: tuple[float, float] | None
    meaning: str


@dataclasses.dataclass(frozen=True)
class MetricTable:
    """The metrics of one protocol."""

    protocol: str
    meaning: str
    rows: tuple[MetricRow, ...]

    def key_rows(self) -> list[MetricRow]:
        """Return the few rows that are shown large."""
        rows = {row.name: row for row in self.rows}
        return [rows[name] for name in KEY_METRICS if name in rows]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A section of the config as rows of name and value."""

    name: str
    rows: tuple[tuple[str, str], ...]


def metric_tables(
    trained: Mapping[str, float],
    untrained: Mapping[str, float] | None,
    refined: Mapping[str, float] | None = None,
    intervals: Mapping[str, tuple[float, float]] | None = None,
) -> list[MetricTable]:
    """Group metrics named `protocol/metric` into tables: `instance` first, mAP on top."""
    protocols = sorted({_protocol(name) for name in trained}, key=_protocol_order)
    tables = []
    for protocol in protocols:
        names = sorted((n for n in trained if _protocol(n) == protocol), key=_metric_order)
        rows = tuple(
            _row(name, trained[name], (untrained or {}).get(name), (refined or {}).get(name))
            for name in names
        )
        if intervals:
            rows = tuple(
                dataclasses.replace(row, interval=intervals.get(name))
                for name, row in zip(names, rows, strict=True)
            )
        tables.append(MetricTable(protocol, PROTOCOLS.get(protocol, ""), rows))
    return tables


def meaning(metric: str) -> str:
    """Explains a metric in one line; empty for an unknown one.

    Examples:
        >>> meaning("Acc@20")
        'share of queries with a photo of the same product among the first 20 answers'
    """
    if metric in _MEANINGS:
        return _MEANINGS[metric]
    name, _, depth = metric.partition("@")
    if not depth or name not in _MEANINGS_AT:
        return ""
    place = "as the first answer" if depth == "1" else f"among the first {depth} answers"
    return _MEANINGS_AT[name].format(place=place)


def usable_photos(photos: Mapping[str, int]) -> int | None:
    """Count the usable photos of the raw copy; None if it was not examined."""
    if "expected" not in photos:
        return None
    return photos["expected"] - sum(photos.get(defect, 0) for defect in _DEFECTS)


def settings(config: Mapping[str, object]) -> list[Setting]:
    """Flattens a config into sections; nested fields get dotted names, loose ones come first."""
    loose = {name: value for name, value in config.items() if not isinstance(value, Mapping)}
    parts = [Setting("run", tuple(_flat(loose)))] if loose else []
    for name, value in config.items():
        if isinstance(value, Mapping):
            parts.append(Setting(name, tuple(_flat(value))))
    return parts


def _protocol(name: str) -> str:
    return name.rpartition("/")[0]


def _protocol_order(protocol: str) -> tuple[int, str]:
    known = list(PROTOCOLS)
    return (known.index(protocol) if protocol in known else len(known), protocol)


def _metric_order(name: str) -> tuple[int, int, str]:
    metric = name.rpartition("/")[2]
    kind, _, depth = metric.partition("@")
    if metric == "mAP":
        return (0, 0, "")
    if kind == "Acc" and depth.isdigit():
        return (1, int(depth), "")
    return (3, int(depth), kind) if depth.isdigit() else (2, 0, metric)


def _row(name: str, trained: float, untrained: float | None, refined: float | None) -> MetricRow:
    metric = name.rpartition("/")[2]
    gain = None if untrained is None else trained - untrained
    return MetricRow(metric, trained, untrained, gain, refined, None, meaning(metric))


def _flat(config: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in config.items():
        if isinstance(value, Mapping):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", plain(value)))
    return rows


def plain(value: object) -> str:
    """Format a setting for readers.

    Examples:
        >>> [plain(value) for value in (None, True, 3.5e-4, (40.0, 70.0))]
        ['none', 'yes', '0.00035', '40, 70']
    """
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value) or "none"
    return str(value)
