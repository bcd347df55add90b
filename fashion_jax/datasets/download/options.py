"""Limits of a download."""

import dataclasses
import math

from fashion_jax.datasets.download.links import DownloadError


@dataclasses.dataclass(frozen=True)
class DownloadOptions:
    """Limits of a download; `DownloadError` is raised for one that is out of range.

    Attributes:
        concurrency: photos in progress at once, over all hosts.
        per_host: photos in progress at once on one host.
        timeout: seconds without data after which an attempt fails: to look up and reach the host,
            and between two pieces of its answer.
        total_timeouts: longest duration of an attempt, in units of `timeout`.
        retries: further attempts after a failure that may pass.
        limit: most photos to fetch in this run; `None` for all.
        retry_failed: whether to retry photos that an earlier run found gone for good.
        allow_private_hosts: whether links may lead into the local network and to this machine.
        max_bytes: largest accepted file.
        max_redirects: most redirects between a link and its photo.
        backoff: seconds before the second attempt, doubled for each further one, plus up to
            `backoff` seconds at random.
        longest_wait: upper bound in seconds of the pause between two attempts; a host that asks
            for a longer one is left alone until the next run.
        give_up_after: failures in a row after which a host is left alone until the next run.
        grace: seconds that photos in progress have left after Ctrl-C.
    """

    concurrency: int = 32
    per_host: int = 2
    timeout: float = 15.0
    total_timeouts: float = 4.0
    retries: int = 3
    limit: int | None = None
    retry_failed: bool = False
    allow_private_hosts: bool = False
    max_bytes: int = 20_000_000
    max_redirects: int = 8
    backoff: float = 1.0
    longest_wait: float = 120.0
    give_up_after: int = 20
    grace: float = 5.0

    def __post_init__(self) -> None:
        for name in ("concurrency", "per_host", "give_up_after", "max_bytes"):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        for name in ("retries", "max_redirects", "backoff", "longest_wait", "grace"):
            self._require(name, getattr(self, name) >= 0, "0 or more")
        for name in ("timeout", "total_timeouts"):
            self._require(name, 0 < getattr(self, name) < math.inf, "more than 0 and finite")
        self._require("limit", self.limit is None or self.limit >= 1, "at least 1")

    def _require(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise DownloadError(f"{name} must be {wanted}, not {getattr(self, name)}")
