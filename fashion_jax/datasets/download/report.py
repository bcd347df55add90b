"""Counts of a download: photos fetched, failures by reason, and the hosts that failed most."""

import dataclasses
from collections import Counter, defaultdict
from typing import Any

from tabulate import tabulate

from fashion_jax.datasets.download.journal import FETCHED, Entry
from fashion_jax.datasets.download.links import LinkList, host_of

_LISTED = 10  # bad lines and hosts that the table shows


@dataclasses.dataclass
class DownloadReport:
    """Counts of one run; photos listed = there + failed before + fetched + failed + left.

    Attributes:
        dataset: name of the dataset's builder, or of the list.
        source: links, and the places of photos and journal.
        there: photos that were present before this run.
        failed_before: photos skipped because an earlier run found them gone for good, by reason.
        fetched: photos that this run wrote.
        bytes: size of the photos that this run wrote.
        failed: photos that this run could not fetch, by reason.
        permanent: reasons among `failed` for which the next run skips photos.
        hosts: outcomes by the host of the link: `fetched`, or the reason of a failure.
        reasons: reason of the failure, by the id of each photo that is not there, except those
            left.
        interrupted: whether Ctrl-C ended the run.
    """

    dataset: str
    source: LinkList
    there: int = 0
    failed_before: Counter[str] = dataclasses.field(default_factory=Counter)
    fetched: int = 0
    bytes: int = 0
    failed: Counter[str] = dataclasses.field(default_factory=Counter)
    permanent: set[str] = dataclasses.field(default_factory=set)
    hosts: dict[str, Counter[str]] = dataclasses.field(default_factory=lambda: defaultdict(Counter))
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)
    interrupted: bool = False

    def add(self, entry: Entry) -> None:
        """Count a photo's outcome."""
        self.hosts[host_of(entry.link)][entry.reason or FETCHED] += 1
        if entry.reason is None:
            self.fetched += 1
            self.bytes += entry.bytes or 0
        else:
            self.failed[entry.reason] += 1
            self.reasons[entry.photo] = entry.reason
            self.permanent.update([entry.reason] if entry.permanent else [])

    def photos(self) -> dict[str, int]:
        """Count of photos by outcome; those left were beyond the limit, or interrupted."""
        counts = {
            "there_before": self.there,
            "failed_in_earlier_runs": self.failed_before.total(),
            "fetched": self.fetched,
            "failed": self.failed.total(),
        }
        listed = len(self.source.links)
        return {"listed": listed, **counts, "left": listed - sum(counts.values())}

    def worst_hosts(self) -> list[dict[str, Any]]:
        """Hosts with the most failures, worst first."""
        failing: list[dict[str, Any]] = []
        for host, outcomes in self.hosts.items():
            reasons = dict((outcomes - Counter({FETCHED: outcomes[FETCHED]})).most_common())
            counts = {"fetched": outcomes[FETCHED], "failed": sum(reasons.values())}
            if reasons:
                failing.append({"host": host, **counts, "reasons": reasons})
        return sorted(failing, key=lambda each: (-each["failed"], each["host"]))[:_LISTED]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain dicts, lists, texts and numbers."""
        return {
            "dataset": self.dataset,
            "source": str(self.source.source),
            "folder": str(self.source.folder),
            "journal": str(self.source.journal),
            "interrupted": self.interrupted,
            "photos": self.photos(),
            "bytes": self.bytes,
            "failed_in_earlier_runs": dict(self.failed_before.most_common()),
            "failed": dict(self.failed.most_common()),
            "worst_hosts": self.worst_hosts(),
            "bad_lines": list(self.source.problems),
        }

    def to_table(self) -> str:
        """Return the report for a person to read."""
        counts = [
            {"photos": name.replace("_", " "), "count": count}
            for name, count in self.photos().items()
        ]
        reasons = [
            {
                "reason of failure": reason,
                "photos": count,
                "next run": "skips them" if reason in self.permanent else "retries",
            }
            for reason, count in self.failed.most_common()
        ]
        hosts = [
            {
                **host,
                "reasons": ", ".join(f"{reason} {n:,}" for reason, n in host["reasons"].items()),
            }
            for host in self.worst_hosts()
        ]
        problems, rest = self.source.problems, len(self.source.problems) - _LISTED
        bad_lines = [f"unusable lines ({len(problems):,}):", *problems[:_LISTED]]
        parts = [
            f"{self.dataset}: photos of {self.source.source} into {self.source.folder}",
            *(_table(rows) for rows in (counts, reasons, hosts) if rows),
            "\n  ".join(bad_lines + [f"… and {rest:,} more"] * (rest > 0)) if problems else "",
            f"outcome of each photo: {self.source.journal}",
            "\n".join(self._advice()),
        ]
        return "\n\n".join(part for part in parts if part)

    def _advice(self) -> list[str]:
        retried = sum(self.failed[reason] for reason in self.failed.keys() - self.permanent)
        again = self.photos()["left"] + retried
        advice = [
            (self.interrupted, "interrupted"),
            (self.failed["host_given_up"], "host_given_up: not requested, the host kept failing"),
            (
                self.failed["private_address"],
                "private_address: links into the local network; if you trust the list, follow "
                "them with --allow_private_hosts --retry_failed",
            ),
            (again, f"run the same command again to fetch {again:,} more photo(s)"),
            (
                self.failed_before or self.permanent,
                "--retry_failed also retries those that were found gone",
            ),
        ]
        return [text for applies, text in advice if applies]


def _table(rows: list[dict[str, Any]]) -> str:
    # Thousands are separated, but not in the first column: hosts may look like numbers.
    return tabulate(rows, "keys", "simple", intfmt=",", disable_numparse=[0])
