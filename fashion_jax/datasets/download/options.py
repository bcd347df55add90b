"""How a download behaves: towards hosts, and towards what they send."""

import dataclasses
import math

from fashion_jax.errors import FashionJaxError


class DownloadOptionError(FashionJaxError):
    """A limit that makes no sense."""


@dataclasses.dataclass(frozen=True)
class DownloadOptions:
    """Limits of a download.

    Attributes:
        concurrency: photos under way at once, over all hosts.
        per_host: photos under way at once at one host.
        timeout: seconds without an answer after which an attempt is given up: to find and reach
            the host, and between any two pieces of what it sends.
        total_timeouts: an attempt takes at most this many times `timeout` in all.
        retries: further attempts after a failure that may pass.
        limit: at most this many photos in this run; `None` for all.
        retry_failed: try again what failed for good in an earlier run.
        allow_private_hosts: let links lead into the local network and to this machine.
        max_bytes: a longer file is taken for an attack.
        max_redirects: from the link to the photo.
        backoff: seconds before the second attempt, doubled for each further one, give or take a
            half.
        longest_wait: seconds; a host that asks for a longer pause is left alone for this run.
        give_up_after: a host that failed so many times in a row is left alone for this run.
        grace: seconds that photos under way have left after Ctrl-C.
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
            value = getattr(self, name)
            self._require(name, 0 < value < math.inf, "more than 0 and finite")
        self._require("limit", self.limit is None or self.limit >= 1, "at least 1")

    def _require(self, name: str, fits: bool, wanted: str) -> None:
        if not fits:
            raise DownloadOptionError(f"{name} must be {wanted}, not {getattr(self, name)}")
