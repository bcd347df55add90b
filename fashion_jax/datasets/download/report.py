"""A download in numbers: what was fetched, what failed and why, and which hosts failed most."""

import collections
import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

_LISTED = 10  # bad lines and hosts that the table shows


@dataclasses.dataclass
class HostCounts:
    """What became of one host's links in this run."""

    fetched: int = 0
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)


@dataclasses.dataclass
class DownloadReport:
    """Counts of one run; photos listed = there + failed before + fetched + failed + left.

    Attributes:
        dataset: name of its builder.
        source: the file that holds the links.
        folder: where photos are written.
        journal: where each photo's outcome is written.
        listed: photos that the list has a good link for.
        there: of them, those that were there before this run.
        failed_before: those left alone because an earlier run found that they are gone, by reason.
        fetched: those that this run wrote.
        failed: those that this run could not fetch, by reason.
        permanent: reasons among `failed` for which the next run leaves photos alone.
        left: those that this run did not get to, for its limit or because it was interrupted.
        bytes: size of what this run wrote.
        problems: lines of the list that have no good link.
        hosts: counts by the host of the links, for those that this run got to.
        interrupted: by Ctrl-C.
    """

    dataset: str
    source: pathlib.Path
    folder: pathlib.Path
    journal: pathlib.Path
    listed: int = 0
    there: int = 0
    failed_before: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    fetched: int = 0
    failed: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    permanent: set[str] = dataclasses.field(default_factory=set)
    left: int = 0
    bytes: int = 0
    problems: Sequence[str] = ()
    hosts: dict[str, HostCounts] = dataclasses.field(
        default_factory=lambda: collections.defaultdict(HostCounts)
    )
    interrupted: bool = False

    def add_fetched(self, host: str, size: int) -> None:
        """One more photo is there."""
        self.fetched += 1
        self.bytes += size
        self.hosts[host].fetched += 1

    def add_failed(self, host: str, reason: str, permanent: bool) -> None:
        """One more photo could not be fetched."""
        self.failed[reason] += 1
        self.hosts[host].failed[reason] += 1
        if permanent:
            self.permanent.add(reason)

    def worst_hosts(self) -> list[dict[str, Any]]:
        """The hosts with most failures, the worst first."""
        failing = [(name, each) for name, each in self.hosts.items() if each.failed]
        failing.sort(key=lambda item: (-item[1].failed.total(), item[0]))
        return [
            {
                "host": name,
                "fetched": each.fetched,
                "failed": each.failed.total(),
                "reasons": dict(each.failed.most_common()),
            }
            for name, each in failing[:_LISTED]
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, texts and numbers."""
        return {
            "dataset": self.dataset,
            "source": str(self.source),
            "folder": str(self.folder),
            "journal": str(self.journal),
            "interrupted": self.interrupted,
            "photos": {
                "listed": self.listed,
                "there_before": self.there,
                "failed_in_earlier_runs": self.failed_before.total(),
                "fetched": self.fetched,
                "failed": self.failed.total(),
                "left": self.left,
            },
            "bytes": self.bytes,
            "failed_in_earlier_runs": dict(self.failed_before.most_common()),
            "failed": dict(self.failed.most_common()),
            "worst_hosts": self.worst_hosts(),
            "bad_lines": list(self.problems),
        }

    def to_table(self) -> str:
        """The report for a person to read."""
        parts = [
            f"{self.dataset}: photos of {self.source} into {self.folder}",
            self._photo_table(),
            self._reason_table(),
            self._host_table(),
            self._problem_lines(),
            f"what became of each photo: {self.journal}",
            self._advice(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _photo_table(self) -> str:
        rows: list[tuple[str, int]] = [
            ("in the list", self.listed),
            ("there before", self.there),
            ("gone for good in earlier runs", self.failed_before.total()),
            (f"fetched now ({_size(self.bytes)})", self.fetched),
            ("failed now", self.failed.total()),
            ("left for another run", self.left),
        ]
        return _table(["photos", "count"], [[name, f"{count:,}"] for name, count in rows])

    def _reason_table(self) -> str:
        if not self.failed:
            return ""
        rows = [
            [reason, f"{count:,}", "leaves it alone" if reason in self.permanent else "tries again"]
            for reason, count in self.failed.most_common()
        ]
        return _table(["failed because of", "photos", "the next run"], rows)

    def _host_table(self) -> str:
        rows = [
            [
                each["host"],
                f"{each['fetched']:,}",
                f"{each['failed']:,}",
                _reasons(each["reasons"]),
            ]
            for each in self.worst_hosts()
        ]
        return (
            _table(["hosts with most failures", "fetched", "failed", "reasons"], rows)
            if rows
            else ""
        )

    def _problem_lines(self) -> str:
        if not self.problems:
            return ""
        count = len(self.problems)
        more = f"\n  … and {count - _LISTED:,} more" if count > _LISTED else ""
        shown = "\n  ".join(self.problems[:_LISTED])
        return f"lines without a good link ({count:,}):\n  {shown}{more}"

    def _advice(self) -> str:
        again = "the same command goes on where this run stopped"
        if self.interrupted:
            return f"interrupted; {again}"
        passing = sum(self.failed[reason] for reason in self.failed if reason not in self.permanent)
        lines = []
        if self.failed["host_given_up"]:
            lines.append("host_given_up: not asked for, because their host had kept failing")
        if self.failed["private_address"]:
            lines.append(
                "private_address: links into the local network; if the list can be trusted, "
                "--allow_private_hosts --retry_failed follows them"
            )
        if self.left:
            lines.append(again)
        elif passing:
            lines.append(f"the same command tries {passing:,} photo(s) again")
        if self.failed_before or self.permanent:
            lines.append("--retry_failed tries those that were gone for good, too")
        return "\n".join(lines)


def _reasons(counts: Mapping[str, int]) -> str:
    shown = [f"{reason} {count:,}" for reason, count in list(counts.items())[:3]]
    return ", ".join(shown) + (", …" if len(counts) > 3 else "")


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    numbers = [all(row[i].replace(",", "").isdecimal() for row in rows) for i in range(len(header))]
    align = ["right" if number else "left" for number in numbers]
    return tabulate(rows, header, tablefmt="simple", colalign=align, disable_numparse=True)
