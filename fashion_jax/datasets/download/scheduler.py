"""Schedules a download: photos wait for their turn, are attempted, and settled in the journal."""

import asyncio
import collections
import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor

from tqdm.auto import tqdm

from fashion_jax.datasets.download.fetch import (
    Answer,
    FetchError,
    follow_redirect,
    get,
    open_session,
)
from fashion_jax.datasets.download.journal import Entry, Journal
from fashion_jax.datasets.download.links import Link, host_of
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.download.report import DownloadReport
from fashion_jax.datasets.download.store import store_photo
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.errors import needs_extra

with needs_extra("download"):
    import tenacity

_UNSETTLED = 100  # times `per_host`


class _Stopped(Exception):  # noqa: N818
    """Raised in photos that wait for their turn after Ctrl-C."""


class RemoteHost:
    """A host that photos are fetched from: its links, its connections, its health.

    A list of 424,000 links has hosts with thousands of links that are all dead: waiting for each of
    them to time out, several times, would take weeks. Such a host is given up for the run.

    Attributes:
        links: links that were not requested yet.
        connections: those in use are photos in progress; first come, first served.
        unsettled: bounds the photos that wait for their next attempt or for another host.
        paused_until: time of the event loop before which the host gets no request.
        given_up: why the host is left alone for the rest of the run; empty if it is not.
    """

    def __init__(self, name: str, options: DownloadOptions):
        self.links: collections.deque[Link] = collections.deque()
        self.connections = asyncio.Semaphore(options.per_host)
        self.unsettled = asyncio.Semaphore(_UNSETTLED * options.per_host)
        self.paused_until = 0.0
        self.given_up = ""
        self._name = name
        self._options = options
        self._failures_in_a_row = 0

    def answered(self) -> None:
        """Note an answer from the host; that a photo is gone is one."""
        self._failures_in_a_row = 0

    def failed(self, error: FetchError) -> None:
        """Note a failed attempt, and give the host up if it was one too many."""
        if error.permanent:
            self.answered()
        elif not self.given_up:
            self._failures_in_a_row += 1
            if error.wait is not None and error.wait > self._options.longest_wait:
                self.given_up = f"asked for a pause of {error.wait:,.0f} seconds"
            elif self._failures_in_a_row >= self._options.give_up_after:
                self.given_up = f"{self._failures_in_a_row} failures in a row, the last: {error}"

    def check(self) -> None:
        """Raise `FetchError` if the host was given up."""
        if self.given_up:
            raise FetchError("host_given_up", f"{self._name}: {self.given_up}")

    def pause(self, until: float) -> None:
        """Keep requests from the host until a time of the event loop; the longest pause counts."""
        self.paused_until = max(self.paused_until, until)


@dataclasses.dataclass
class Scheduler:
    """Fetches photos, each in its own task.

    A task waits for a connection of its host, then for one of all connections, both first come,
    first served, so that hosts take turns. (aiohttp could limit connections as well, but counts
    the waiting as part of an attempt, which would then time out.) A host's next task starts when
    a connection is free that no task waits for: retried photos come first, and tasks stay few.

    Attributes:
        links: links to fetch.
        options: limits.
        report: counts outcomes; its `source` says where photos go.
        journal: records outcomes.
        bar: shows outcomes.
    """

    links: Iterable[Link]
    options: DownloadOptions
    report: DownloadReport
    journal: Journal
    bar: tqdm

    def __post_init__(self) -> None:
        options = self.options
        self._hosts: dict[str, RemoteHost] = {}
        self._connections = asyncio.Semaphore(options.concurrency)
        self._stopping = asyncio.Event()
        self._backoff = tenacity.wait_exponential(options.backoff) + tenacity.wait_random(
            0, options.backoff
        )
        self._retrying = tenacity.AsyncRetrying(
            sleep=self._sleep,
            stop=tenacity.stop_after_attempt(options.retries + 1),
            wait=self._wait,
            retry=tenacity.retry_if_exception(self._may_pass),
            reraise=True,
        )
        for link in self.links:
            self._host(link.url).links.append(link)

    async def run(self) -> None:
        """Return when every photo is settled, or soon after Ctrl-C.

        Raises:
            DownloadError: a photo or the journal cannot be written.
        """
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as self._decoders:
            async with open_session(self.options) as self._session:
                photos = asyncio.create_task(self._fetch_all())
                try:
                    await asyncio.shield(photos)
                except asyncio.CancelledError:  # Ctrl-C, as asyncio.run passes it on
                    tqdm.write("stopping: photos in progress get a few seconds", file=sys.stderr)
                    self.report.interrupted = True
                    self._stopping.set()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(photos, self.options.grace)

    async def _fetch_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                for _ in range(self.options.per_host):
                    for host in tuple(self._hosts.values()):
                        self._start_next(host)
        except ExceptionGroup as errors:  # the first one cancelled the other tasks
            raise errors.exceptions[0] from None

    def _start_next(self, host: RemoteHost) -> None:
        if host.links and not host.connections.locked() and not self._stopping.is_set():
            self._tasks.create_task(self._fetch(host.links.popleft()))

    async def _fetch(self, link: Link) -> None:
        """Fetch a photo, in several attempts if failures may pass, and settle it."""
        retrying = self._retrying.copy()
        try:
            async with self._host(link.url).unsettled:
                entry: Entry = await retrying(self._attempt, link)
        except _Stopped:
            return
        except FetchError as error:
            entry = Entry(
                photo=link.photo_id,
                link=link.url,
                redirected_to=error.url,
                status=error.status,
                reason=error.reason,
                permanent=error.permanent,
                detail=error.detail,
            )
        given_up = entry.reason == "host_given_up"  # the last attempt made no request then
        entry.attempts = retrying.statistics["attempt_number"] - given_up
        self.journal.write(entry)
        self.report.add(entry)
        failed = self.report.failed.total()
        self.bar.set_postfix(fetched=self.report.fetched, failed=failed, refresh=False)
        self.bar.update()

    async def _attempt(self, link: Link) -> Entry:
        """Request a photo and store it; redirects wait for the turn of their own host."""
        visited = [link.url]
        while True:
            url = visited[-1]
            async with self._turn(url) as host:
                answer = await get(self._session, url, self.options.max_bytes)
                host.answered()
                if answer.location is None:
                    return await self._store(link, url, answer)
                limit = self.options.max_redirects
                visited.append(follow_redirect(visited, answer.location, limit))

    @contextlib.asynccontextmanager
    async def _turn(self, url: str) -> AsyncIterator[RemoteHost]:
        """Wait for the turn of a link's host, and hold one of its connections."""
        host = self._host(url)
        try:
            async with host.connections:
                self._check(host)
                while (pause := host.paused_until - _now()) > 0:
                    await self._sleep(pause)
                    self._check(host)
                async with self._connections:
                    self._check(host)
                    yield host
        except FetchError as error:
            error.url = url
            host.failed(error)
            self._start_next(host)
            raise
        self._start_next(host)

    def _check(self, host: RemoteHost) -> None:
        if self._stopping.is_set():
            raise _Stopped
        host.check()

    async def _store(self, link: Link, url: str, answer: Answer) -> Entry:
        folder, body = self.report.source.folder, answer.body
        try:
            path = await asyncio.get_running_loop().run_in_executor(
                self._decoders, store_photo, folder, link.photo_id, body
            )
        except UndecodablePhotoError as error:
            cut_off = error.kind in ("empty", "truncated") and not answer.whole
            raise FetchError(error.kind, error.detail, not cut_off, answer.status) from error
        return Entry(
            photo=link.photo_id,
            link=link.url,
            redirected_to=url,
            status=answer.status,
            file=path.name,
            bytes=len(body),
        )

    def _may_pass(self, error: BaseException) -> bool:
        if not isinstance(error, FetchError) or error.permanent:
            return False
        return not self._host(error.url).given_up

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """Return the seconds until a photo's next attempt."""
        seconds = min(float(self._backoff(state)), self.options.longest_wait)
        error = state.outcome and state.outcome.exception()
        if not isinstance(error, FetchError) or error.wait is None:
            return seconds
        # The whole host waits; this photo takes its place in line at once, before all others.
        self._host(error.url).pause(_now() + max(seconds, error.wait))
        return 0.0

    async def _sleep(self, seconds: float) -> None:
        """Sleep, at most until Ctrl-C; 0 seconds do not let other tasks run."""
        if seconds > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()

    def _host(self, url: str) -> RemoteHost:
        name = host_of(url)
        if name not in self._hosts:
            self._hosts[name] = RemoteHost(name, self.options)
        return self._hosts[name]


def _now() -> float:
    return asyncio.get_running_loop().time()
