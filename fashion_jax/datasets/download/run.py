"""The run of a download: a bounded number of photos under way, each settled in the journal."""

import asyncio
import os
import pathlib
import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm.auto import tqdm

from fashion_jax.datasets.download.failure import FetchError
from fashion_jax.datasets.download.fetcher import Answer, Fetcher
from fashion_jax.datasets.download.host_health import HostHealth
from fashion_jax.datasets.download.host_queues import HostQueues, Job
from fashion_jax.datasets.download.journal import FAILED, FETCHED, Entry, Journal
from fashion_jax.datasets.download.links import host_of
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.download.report import DownloadReport
from fashion_jax.datasets.download.store import store_photo
from fashion_jax.datasets.photos import UndecodablePhotoError

_Tasks = set[asyncio.Task[Any]]


class Run:
    """Fetches all links of some queues.

    Args:
        queues: with the links in them; what is not reached stays there.
        options: limits.
        folder: for the photos.
        journal: for what becomes of them.
        report: counts the same.
        bar: shows the same.
    """

    def __init__(
        self,
        queues: HostQueues,
        options: DownloadOptions,
        folder: pathlib.Path,
        journal: Journal,
        report: DownloadReport,
        bar: tqdm,
    ):
        self._queues = queues
        self._options = options
        self._folder = folder
        self._journal = journal
        self._report = report
        self._bar = bar
        self._health = HostHealth(options.give_up_after, options.longest_wait)
        self._fetcher = Fetcher(options)
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Starts no more photos; those under way have a few seconds left. Call from the loop."""
        self._stop.set()

    async def run(self) -> None:
        """Returns when every photo is settled, or after a `stop`.

        Raises:
            FashionJaxError: the disk is full, or the like.
        """
        self._clock = asyncio.get_running_loop().time
        with ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode") as self._threads:
            async with self._fetcher:
                await self._fetch_all()

    async def _fetch_all(self) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        running: _Tasks = set()
        try:
            while not self._stop.is_set() and (self._queues or running):
                free = self._start(running)
                done, _ = await asyncio.wait(
                    {stopping, *running},
                    timeout=self._seconds_asleep() if free else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                self._take_out(done - {stopping}, running)
            if running:
                done, _ = await asyncio.wait(running, timeout=self._options.grace)
                self._take_out(done, running)
        finally:
            for task in (stopping, *running):
                task.cancel()
            await asyncio.gather(stopping, *running, return_exceptions=True)

    def _start(self, running: _Tasks) -> bool:
        """Starts as many photos as allowed; whether more were allowed than could be started."""
        while len(running) < self._options.concurrency:
            job = self._queues.take(self._clock())
            if job is None:
                return True
            running.add(asyncio.create_task(self._attempt(job)))
        return False

    def _take_out(self, done: _Tasks, running: _Tasks) -> None:
        running -= done
        for task in done:
            task.result()  # raises what is not a photo's fault

    def _seconds_asleep(self) -> float | None:
        wake = self._queues.next_wake()
        return None if wake is None else max(0.0, wake - self._clock())

    async def _attempt(self, job: Job) -> None:
        """Asks once; then the photo is settled, or back in its queue."""
        host = job.host  # a redirect changes the job's
        try:
            self._health.check(host)
            answer = await self._fetcher.get(job.url)
            self._health.answered(host)
            if answer.location is not None:
                job.redirect(answer.location, self._options.max_redirects)
                self._queues.put_back(job)
            else:
                self._fetched(job, answer, await self._store(job, answer))
        except FetchError as error:
            self._failed(job, host, error)
        finally:
            self._queues.release(host)

    async def _store(self, job: Job, answer: Answer) -> pathlib.Path:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(
                self._threads, store_photo, self._folder, job.link.photo_id, answer.body
            )
        except UndecodablePhotoError as error:
            cut_off = error.kind in ("empty", "truncated") and not answer.whole
            raise FetchError(
                error.kind, error.detail, permanent=not cut_off, status=answer.status
            ) from error

    def _fetched(self, job: Job, answer: Answer, path: pathlib.Path) -> None:
        size = len(answer.body)
        self._journal.write(
            Entry(
                photo=job.link.photo_id,
                link=job.link.url,
                outcome=FETCHED,
                attempts=job.failures + 1,
                status=answer.status,
                redirected_to=_redirected_to(job),
                file=path.name,
                bytes=size,
            )
        )
        self._report.add_fetched(host_of(job.link.url), size)
        self._show()

    def _failed(self, job: Job, host: str, error: FetchError) -> None:
        if not self._health.is_given_up(host):
            job.failures += 1
            self._health.failed(host, error)
        again = not error.permanent and job.failures <= self._options.retries
        if again and not self._health.is_given_up(host):
            self._later(job, host, error)
            return
        self._journal.write(
            Entry(
                photo=job.link.photo_id,
                link=job.link.url,
                outcome=FAILED,
                attempts=job.failures,
                reason=error.reason,
                permanent=error.permanent,
                detail=error.detail,
                status=error.status,
                redirected_to=_redirected_to(job),
            )
        )
        self._report.add_failed(host_of(job.link.url), error.reason, error.permanent)
        self._show()

    def _later(self, job: Job, host: str, error: FetchError) -> None:
        """Puts a job back for another attempt; the jitter keeps many from coming all at once."""
        doubled = self._options.backoff * 2 ** (job.failures - 1)
        wait = min(doubled * random.uniform(0.5, 1.5), self._options.longest_wait)
        when = self._clock() + max(wait, error.wait or 0.0)
        if error.host_waits:
            self._queues.pause(host, when)
        self._queues.put_back(job, when)

    def _show(self) -> None:
        failed = self._report.failed.total()
        self._bar.set_postfix(fetched=self._report.fetched, failed=failed, refresh=False)
        self._bar.update()


def _redirected_to(job: Job) -> str | None:
    return job.url if job.url != job.link.url else None
