"""What was found in a raw copy, and what became of it: the report of `data check` and `build`."""

import dataclasses
import json
import pathlib
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from fashion_jax.datasets.building.tally import BOX_DEFECTS, PHOTO_OUTCOMES, USABLE, Tally
from fashion_jax.errors import FashionJaxError
from fashion_jax.files import atomic_write

REPORT_NAME = "build_report.json"

_WIDTH = 100  # of lines for a person to read
_LISTED = 5  # names of a problem that the table shows; the JSON has them all

_COUNTED = {
    "photos": "photos in",
    "identities": "products in",
    "queries_without_match": "unmatched",
    "distractor_identities": "distractors",
}
_EXPLANATION = (
    "unmatched: query photos whose product has no usable gallery photo\n"
    "distractors: gallery products that no query asks for"
)


@dataclasses.dataclass(frozen=True)
class BuildReport:
    """Counts per category and in all.

    Attributes:
        dataset: name of the builder.
        version: of the builder.
        manual_dir: folder of the raw copy, or `None` for a dataset that has none.
        options: everything that the built records depend on.
        counts: in all: `photos`, `boxes`, `splits`, `queries_without_match`,
            `val_queries_without_match`, `distractor_identities`; `None` stands for "not asked".
        categories: the same for each category. A photo with items of two categories counts in
            both, and once in all.
        problems: photo ids (or other names) by kind of problem.
        published: sizes by name, as `published` by the dataset's authors and as `listed` in the
            raw copy; where it is known, also how many have their photos in it (`found`). `None`
            stands for "not known".
    """

    dataset: str
    version: str
    manual_dir: str | None
    options: Mapping[str, Any]
    counts: Mapping[str, Any]
    categories: Mapping[str, Mapping[str, Any]]
    problems: Mapping[str, Sequence[str]]
    published: Mapping[str, Mapping[str, int | None]] = dataclasses.field(default_factory=dict)

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
        """The report of what a tally took down."""
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
        """The inverse of `to_json`."""
        rest = {"published": {}, **report}  # older reports have no published sizes
        own = [field.name for field in dataclasses.fields(cls) if field.name != "counts"]
        return cls(counts=rest, **{name: rest.pop(name) for name in own})

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, texts and numbers."""
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
        """The report for a person to read, at most 100 columns wide."""
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
        # Kinds of which there is not a single one get no column.
        kinds = [kind for kind in PHOTO_OUTCOMES if kind != USABLE and self.counts["photos"][kind]]
        columns = ["expected", "found", *kinds, USABLE]
        return _table(
            ["photos", *columns],
            [[name, *_numbers(each["photos"], columns)] for name, each in self._rows()],
        )

    def _box_table(self) -> str:
        defects = [defect for defect in BOX_DEFECTS if self.counts["boxes"].get(defect)]
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
            lines.append(f"EMPTY SPLITS, a build would refuse: {', '.join(empty)}")
        for kind, names in self.problems.items():
            shown = ", ".join(names[:_LISTED])
            more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
            lines.append(f"{_words(kind)} ({len(names):,}): {shown}{more}")
        return "\n".join(_wrapped(line) for line in lines)


def published_sizes(
    published: Mapping[str, int], listed: Mapping[str, int], found: Mapping[str, int]
) -> dict[str, dict[str, int | None]]:
    """Sizes by name, those that the authors published first; see `BuildReport.published`."""
    sizes: dict[str, dict[str, int | None]] = {}
    for name in dict.fromkeys((*published, *listed)):
        sizes[name] = {"published": published.get(name), "listed": listed.get(name)}
        if found:
            sizes[name]["found"] = found.get(name)
    return sizes


def write_report(report: BuildReport, directory: pathlib.Path) -> None:
    """Stores a report beside the data."""
    text = json.dumps(report.to_json(), indent=2, ensure_ascii=False)
    atomic_write(directory / REPORT_NAME, f"{text}\n".encode())


def read_report(directory: pathlib.Path) -> BuildReport:
    """Reads the report that lies beside built data.

    Raises:
        FashionJaxError: there is none, or it is damaged.
    """
    path = directory / REPORT_NAME
    try:
        return BuildReport.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FashionJaxError(f"no readable build report at {path}: {error!r}") from error


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
