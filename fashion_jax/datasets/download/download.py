"""`data download`: from a dataset's name to its photos, and the report."""

import asyncio
import contextlib
import fcntl
import inspect
import os
import pathlib
import signal
import sys
import threading
from collections.abc import Iterator

from tqdm.auto import tqdm

from fashion_jax.datasets.building.build import builder_class
from fashion_jax.datasets.download.host_queues import HostQueues
from fashion_jax.datasets.download.journal import Journal, read_permanent_failures
from fashion_jax.datasets.download.links import LinkList
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.download.report import DownloadReport
from fashion_jax.datasets.download.run import Run
from fashion_jax.datasets.download.store import remove_unfinished
from fashion_jax.errors import FashionJaxError


class NoLinksError(FashionJaxError):
    """A dataset whose photos cannot be fetched one by one."""


class BusyError(FashionJaxError):
    """Another download is in the way."""


def download(
    dataset: str,
    manual_dir: str | os.PathLike[str] | None = None,
    options: DownloadOptions | None = None,
    progress: bool = True,
) -> DownloadReport:
    """Fetches the photos that a raw copy lacks, as far as their links still work.

    It can be killed and called again at any moment: photos are whole or not there, and what
    became of each is appended to a journal beside the list of links. The next run fetches what is
    not there, except what an earlier one found to be gone for good. Called from the main thread,
    it takes Ctrl-C for a wish to stop, and returns its report.

    Args:
        dataset: name of a builder whose folder has a module `links`.
        manual_dir: folder of the raw copy, with the list of links in it.
        options: limits; the default ones if not given.
        progress: whether to show a progress bar.

    Raises:
        FashionJaxError: no links for such a dataset, no good link in the list, another process
            at work in the same folder, a full disk, or an event loop that runs already.
    """
    _refuse_event_loop()
    options = options or DownloadOptions()
    found = link_list(dataset, manual_dir)
    report = DownloadReport(
        dataset, found.source, found.folder, found.journal, problems=found.problems
    )
    with _sole_download(found):
        queues = _queues(found, options, report)
        with (
            Journal(found.journal) as journal,
            tqdm(
                total=len(queues),
                desc=f"{dataset}: fetching",
                unit=" photos",
                disable=not progress,
                mininterval=0.5,
            ) as bar,
        ):
            asyncio.run(_run(Run(queues, options, found.folder, journal, report, bar), report))
    report.left = report.listed - report.there - report.failed_before.total()
    report.left -= report.fetched + report.failed.total()
    return report


def _refuse_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise BusyError(
        "an event loop runs in this thread, as in a notebook: call the command there, "
        "!fashion-jax data download"
    )


def link_list(dataset: str, manual_dir: str | os.PathLike[str] | None) -> LinkList:
    """A dataset's links, by `read_links` of its builder.

    Raises:
        BuildError: there is no such dataset.
        NoLinksError: it has no list of links; where to ask for it is said.
        FashionJaxError: there is no good link in the list.
    """
    builder = builder_class(dataset)
    if builder.read_links is None:
        raise _no_links(dataset)
    folder = None if manual_dir is None else pathlib.Path(manual_dir).expanduser().resolve()
    links: LinkList = builder.read_links(folder)
    return links


def _no_links(dataset: str) -> NoLinksError:
    builder = builder_class(dataset)
    instructions = inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "")
    if not instructions:
        command = f"fashion-jax data build --dataset {dataset}"
        return NoLinksError(f"{dataset} needs no download: {command} makes it")
    lines = [f"{dataset} has no list of links to fetch its photos from."]
    if builder.HOMEPAGE:
        lines.append(f"Where to ask for them: {builder.HOMEPAGE}")
    lines += [instructions, f"See data_builders/{dataset}/README.md."]
    return NoLinksError("\n".join(lines))


@contextlib.contextmanager
def _sole_download(found: LinkList) -> Iterator[None]:
    """For one process at a time; what killed ones left behind is removed."""
    path = found.journal.with_name(f".{found.journal.name}.lock")
    try:
        found.folder.mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.open("w")
    except OSError as error:
        raise FashionJaxError(f"cannot write to {error.filename}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(f"another process is downloading into {found.folder}") from error
        remove_unfinished(found.folder)
        yield


def _queues(found: LinkList, options: DownloadOptions, report: DownloadReport) -> HostQueues:
    """Counts what needs no fetching; the rest is queued."""
    gone = {} if options.retry_failed else read_permanent_failures(found.journal)
    queues = HostQueues(options.per_host)
    report.listed = len(found.links)
    for link in found.links:
        failed_link, reason = gone.get(link.photo_id, ("", ""))
        if link.photo_id in found.there:
            report.there += 1
        elif failed_link == link.url:
            report.failed_before[reason] += 1
        elif options.limit is None or len(queues) < options.limit:
            queues.add(link)
    return queues


async def _run(run: Run, report: DownloadReport) -> None:
    def interrupt() -> None:
        report.interrupted = True
        tqdm.write("stopping: photos under way have a few seconds left", file=sys.stderr)
        run.stop()

    loop = asyncio.get_running_loop()
    main = threading.current_thread() is threading.main_thread()
    if main:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        await run.run()
    finally:
        if main:
            loop.remove_signal_handler(signal.SIGINT)
