"""Whose turn it is: hosts in turn, a few connections each, nobody waits for a slow one.

No clock and no connection in here: the time is an argument.
"""

import collections
import dataclasses
import heapq
from urllib.parse import urljoin

from fashion_jax.datasets.download.failure import FetchError
from fashion_jax.datasets.download.links import BadLinkError, Link, clean_url, host_of


@dataclasses.dataclass(slots=True)
class Job:
    """A link under way.

    Attributes:
        link: the photo's.
        url: where to ask next; another than the link's after a redirect.
        failures: attempts that failed.
        visited: links that redirected to others.
    """

    link: Link
    url: str
    failures: int = 0
    visited: tuple[str, ...] = ()

    @property
    def host(self) -> str:
        """The host to ask next."""
        return host_of(self.url)

    def redirect(self, target: str, max_redirects: int) -> None:
        """Asks `target` next, which may be relative.

        Raises:
            FetchError: not a link, a loop, or one redirect too many.
        """
        try:
            url = clean_url(urljoin(self.url, target.strip()))
        except (BadLinkError, ValueError) as error:
            raise FetchError("bad_redirect", str(error), permanent=True) from error
        if url == self.url or url in self.visited:
            raise FetchError("redirect_loop", f"back to {url}", permanent=True)
        if len(self.visited) >= max_redirects:
            detail = f"{len(self.visited) + 1} of them"
            raise FetchError("too_many_redirects", detail, permanent=True)
        self.visited = (*self.visited, self.url)
        self.url = url


@dataclasses.dataclass(slots=True)
class _Host:
    """One host's links: `again` before `fresh`, `active` of them given out."""

    fresh: collections.deque[Link] = dataclasses.field(default_factory=collections.deque)
    again: collections.deque[Job] = dataclasses.field(default_factory=collections.deque)
    active: int = 0
    paused_until: float = 0.0


class HostQueues:
    """Links by host; one that is taken occupies one of its host's connections until released.

    Args:
        per_host: connections of each host.
    """

    def __init__(self, per_host: int):
        self._per_host = per_host
        self._hosts: dict[str, _Host] = collections.defaultdict(_Host)
        self._ready: dict[str, None] = {}  # hosts with a link and a connection; the next one first
        # What sleeps: when it wakes, a number that no other has, its host, and the job if any.
        self._asleep: list[tuple[float, int, str, Job | None]] = []
        self._number = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Links that wait for their turn, or asleep."""
        return self._waiting

    def add(self, link: Link) -> None:
        """A new link, at the end of its host's queue."""
        host = host_of(link.url)
        self._hosts[host].fresh.append(link)
        self._waiting += 1
        self._update(host)

    def take(self, now: float) -> Job | None:
        """The next job, of the host whose turn it is; `None` if all have to wait."""
        self._wake(now)
        if not self._ready:
            return None
        name = next(iter(self._ready))
        del self._ready[name]
        host = self._hosts[name]
        if host.again:
            job = host.again.popleft()
        else:
            link = host.fresh.popleft()
            job = Job(link, link.url)
        host.active += 1
        self._waiting -= 1
        self._update(name)
        return job

    def release(self, host: str) -> None:
        """A connection of the host is free again."""
        self._hosts[host].active -= 1
        self._update(host)

    def put_back(self, job: Job, when: float = 0.0) -> None:
        """A job is to be given out again, not before `when`, and then first of its host's."""
        self._waiting += 1
        self._sleep(when, job.host, job)

    def pause(self, host: str, until: float) -> None:
        """Gives out nothing of a host for a while."""
        self._hosts[host].paused_until = max(until, self._hosts[host].paused_until)
        self._sleep(until, host, None)
        self._update(host)

    def next_wake(self) -> float | None:
        """When the first of what sleeps wakes; `None` if nothing does."""
        return self._asleep[0][0] if self._asleep else None

    def _sleep(self, until: float, host: str, job: Job | None) -> None:
        self._number += 1
        heapq.heappush(self._asleep, (until, self._number, host, job))

    def _wake(self, now: float) -> None:
        while self._asleep and self._asleep[0][0] <= now:
            _, _, name, job = heapq.heappop(self._asleep)
            host = self._hosts[name]
            if job is not None:
                host.again.append(job)
            if host.paused_until <= now:
                host.paused_until = 0.0
            self._update(name)

    def _update(self, name: str) -> None:
        host = self._hosts[name]
        has_job = bool(host.again or host.fresh)
        if has_job and host.active < self._per_host and not host.paused_until:
            self._ready.setdefault(name)
        else:
            self._ready.pop(name, None)
