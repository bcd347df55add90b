"""Report of `data check` and `data build`: content and defects of a raw copy."""

import dataclasses
import pathlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from tabulate import tabulate

from fashion_jax.datasets.building.tally import BOX_DEFECTS, PHOTO_OUTCOMES, USABLE, Tally
from fashion_jax.files import StorageError, atomic_write, read_json, to_json

REPORT_NAME = "build_report.json"

_TOTALS = ("expected", "found")
_WIDTH = 100  # of lines for people
_LISTED = 5  # names per problem in the table; the JSON has all of them

_COUNTED = {
    "photos": "photos in",
    "identities": "products in",
    "queries_without_match": "unmatched",
    "distractor_identities": "distractors",
}
_EXPLANATION = (
    "unmatched: query photos whose product has no usable gallery photo\n"
    "distractors: gallery products without a query"
)


Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


@dataclasses.dataclass(frozen=True)
class _StoredSplit:
    photos: Count
    identities: Count


@dataclasses.dataclass(frozen=True)
class _StoredCounts:
    """As `Counts.to_json` writes them."""

    photos: dict[str, Count]
    boxes: dict[str, Count]
    splits: dict[str, _StoredSplit]
    queries_without_match: Count | None
    val_queries_without_match: Count | None
    distractor_identities: Count | None

    def __post_init__(self) -> None:
        for counted, names in ((self.photos, PHOTO_OUTCOMES), (self.boxes, BOX_DEFECTS)):
            if unknown := counted.keys() - {*names, *_TOTALS}:
                raise ValueError(f"counts of the unknown kinds {', '.join(sorted(unknown))}")
            for name in names:
                counted.setdefault(name, 0)  # a kind that is newer than the build
        if missing := set(_TOTALS) - self.photos.keys():
            raise ValueError(f"no count of the photos {', '.join(sorted(missing))}")


@dataclasses.dataclass(frozen=True)
class _StoredReport(_StoredCounts):
    """As `BuildReport.to_json` writes it."""

    dataset: str
    version: str
    manual_dir: str | None
    options: dict[str, Any]
    published: dict[str, dict[str, Count | None]]
    categories: dict[str, _StoredCounts]
    problems: dict[str, list[str]]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, counts in self.categories.items():
            if counts.splits.keys() != self.splits.keys():
                raise ValueError(f"category {name!r} has other splits than the whole")


@dataclasses.dataclass(frozen=True)
class BuildReport:
    """Counts per category and in total.

    Attributes:
        dataset: name of the builder.
        version: version of the builder.
        manual_dir: directory of the raw copy, or `None` for a dataset without one.
        options: options that the records depend on.
        counts: totals: `photos`, `boxes`, `splits`, `queries_without_match`,
            `val_queries_without_match`, `distractor_identities`; `None` for splits that were not
            requested.
        categories: the same counts per category. A photo with items of two categories counts in
            both, but once in the totals.
        problems: photo ids (or other names) by kind of problem.
        published: sizes by name, as `published` by the dataset's authors, as `listed` in the raw
            copy and, if known, with photos in it (`found`); `None` if unknown.
    """

    dataset: str
    version: str
    manual_dir: str | None
    options: Mapping[str, Any]
    counts: Mapping[str, Any]
    categories: Mapping[str, Mapping[str, Any]]
    problems: Mapping[str, Sequence[str]]
    published: Mapping[str, Mapping[str, int | None]]

    @classmethod
    def from_tally(
        cls,
        tally: Tally,
        *,
        dataset: str,
        version: str,
        manual_dir: str | None,
        options: Mapping[str, Any],
        published: Mapping[str, Mapping[str, int | None]] | None = None,
    ) -> "BuildReport":
        """Make a report of a tally."""
        splits = tally.splits
        return cls(
            dataset=dataset,
            version=version,
            manual_dir=manual_dir,
            options=dict(options),
            counts=tally.total.to_json(splits),
            categories={name: each.to_json(splits) for name, each in tally.categories.items()},
            problems=tally.problems,
            published=published or {},
        )

    @classmethod
    def from_json(cls, report: Mapping[str, Any]) -> "BuildReport":
        """Restore a report; the inverse of `to_json`."""
        rest = dict(report)
        own = [field.name for field in dataclasses.fields(cls) if field.name != "counts"]
        return cls(counts=rest, **{name: rest.pop(name) for name in own})

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, texts and numbers."""
        return {
            "dataset": self.dataset,
            "version": self.version,
            "manual_dir": self.manual_dir,
            "options": dict(self.options),
            "published": {name: dict(sizes) for name, sizes in self.published.items()},
            **self.counts,
            "categories": {name: dict(counts) for name, counts in self.categories.items()},
            "problems": {kind: list(names) for kind, names in self.problems.items()},
        }

    def to_table(self) -> str:
        """Return the report as a table for people, at most 100 columns wide."""
        source = f" from {self.manual_dir}" if self.manual_dir else ""
        parts = [
            f"{self.dataset} {self.version}" + source,
            self._published_table(),
            self._photo_table(),
            self._box_table(),
            self._split_table("photos", "queries_without_match"),
            self._split_table("identities", "distractor_identities"),
            _EXPLANATION,
            self._problem_lines(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _rows(self) -> list[tuple[str, Mapping[str, Any]]]:
        filled = [(name, each) for name, each in self.categories.items() if _filled(each)]
        return [*filled, ("all", self.counts)]

    def _published_table(self) -> str:
        if not self.published:
            return ""
        columns = list(dict.fromkeys(name for sizes in self.published.values() for name in sizes))
        return _table(
            ["sizes", *columns],
            [
                [_words(name), *_numbers({**dict.fromkeys(columns), **sizes}, columns)]
                for name, sizes in self.published.items()
            ],
        )

    def _photo_table(self) -> str:
        # Outcomes without any photo get no column.
        kinds = [kind for kind in PHOTO_OUTCOMES if kind != USABLE and self.counts["photos"][kind]]
        columns = ["expected", "found", *kinds, USABLE]
        return _table(
            ["photos", *columns],
            [[name, *_numbers(each["photos"], columns)] for name, each in self._rows()],
        )

    def _box_table(self) -> str:
        defects = [defect for defect in BOX_DEFECTS if self.counts["boxes"][defect]]
        if not defects:
            return ""
        rows = [(name, each) for name, each in self._rows() if any(each["boxes"].values())]
        return _table(
            ["boxes", *defects],
            [[name, *_numbers(each["boxes"], defects)] for name, each in rows],
        )

    def _split_table(self, counted: str, last: str) -> str:
        splits = list(self.counts["splits"])
        rows = [
            [
                name,
                *_numbers({split: each["splits"][split][counted] for split in splits}, splits),
                *_numbers(each, [last]),
            ]
            for name, each in self._rows()
        ]
        return _table([_COUNTED[counted], *splits, _COUNTED[last]], rows)

    def _problem_lines(self) -> str:
        without_rows = [name for name, each in self.categories.items() if not _filled(each)]
        empty = [name for name, each in self.counts["splits"].items() if not each["photos"]]
        lines = [f"no rows: {', '.join(without_rows)}"] if without_rows else []
        if empty:
            lines.append(f"EMPTY SPLITS, refused by a build: {', '.join(empty)}")
        for kind, names in self.problems.items():
            shown = ", ".join(names[:_LISTED])
            more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
            lines.append(f"{_words(kind)} ({len(names):,}): {shown}{more}")
        return "\n".join(_wrapped(line) for line in lines)


def published_sizes(
    published: Mapping[str, int], listed: Mapping[str, int], found: Mapping[str, int]
) -> dict[str, dict[str, int | None]]:
    """Combine sizes by name, published ones first; see `BuildReport.published`."""
    sizes: dict[str, dict[str, int | None]] = {}
    for name in dict.fromkeys((*published, *listed)):
        sizes[name] = {"published": published.get(name), "listed": listed.get(name)}
        if found:
            sizes[name]["found"] = found.get(name)
    return sizes


def write_report(report: BuildReport, directory: pathlib.Path) -> None:
    """Store a report next to the data."""
    atomic_write(directory / REPORT_NAME, to_json(report.to_json()))


def read_report(directory: pathlib.Path) -> BuildReport:
    """Read the report of built data.

    Raises:
        StorageError: if it is missing or damaged.
    """
    path = directory / REPORT_NAME
    mend = "Copy the dataset again, or build it again with --overwrite"
    try:
        stored = read_json(path, _StoredReport, None, "a built dataset", mend=mend)
    except StorageError as error:
        raise StorageError(f"no readable build report at {path}: {error}") from error
    return BuildReport.from_json(msgspec.to_builtins(stored))


def _filled(counts: Mapping[str, Any]) -> bool:
    return bool(counts["photos"]["expected"])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def _numbers(counts: Mapping[str, Any], names: Iterable[str]) -> list[str]:
    values = [counts[name] for name in names]
    return ["-" if value is None else f"{value:,}" if value else "·" for value in values]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    align = ("left", *["right"] * (len(header) - 1))
    names = [_words(name) for name in header]
    return tabulate(rows, names, tablefmt="simple", colalign=align, disable_numparse=True)
