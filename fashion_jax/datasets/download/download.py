"""From a dataset's name, or any list of links, to photos and the report."""

import asyncio
import contextlib
import inspect
import os
import pathlib
from collections.abc import Iterator

from tqdm.auto import tqdm

from fashion_jax.datasets.building.build import builder_class
from fashion_jax.datasets.download.journal import Journal, read_permanent_failures
from fashion_jax.datasets.download.links import DownloadError, Link, LinkList
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.download.report import DownloadReport
from fashion_jax.datasets.download.scheduler import Scheduler
from fashion_jax.datasets.download.store import remove_unfinished
from fashion_jax.locks import sole_writer


def download(
    dataset: str,
    manual_dir: str | os.PathLike[str] | None = None,
    options: DownloadOptions | None = None,
    progress: bool = True,
) -> DownloadReport:
    """Fetch the photos that a raw copy lacks, as far as their links still work.

    Safe to interrupt or kill: photos are whole or absent, and the outcome of each is appended to
    a journal next to the list of links. The next run fetches what is absent, except what an
    earlier run found gone for good. In the main thread, Ctrl-C ends the run with its report.

    Args:
        dataset: name of a builder whose package has a module `links`.
        manual_dir: directory of the raw copy, with the list of links.
        options: limits; `None` for the default ones.
        progress: whether to show a progress bar.

    Raises:
        InUseError: another process downloads into the same directory.
        FashionJaxError: the dataset has no usable links, the disk is full, or an event loop is
            running.
    """
    _refuse_event_loop()
    return fetch_links(dataset, _read_links(dataset, manual_dir), options, progress)


def fetch_links(
    name: str, source: LinkList, options: DownloadOptions | None = None, progress: bool = True
) -> DownloadReport:
    """Fetch the photos of a list of links that are not there yet; see `download`.

    Args:
        name: name of the dataset or list, for the report.
        source: the links, and the places of photos and journal.
        options: limits; `None` for the default ones.
        progress: whether to show a progress bar.

    Raises:
        InUseError: another process downloads into the same directory.
        FashionJaxError: the disk is full, or an event loop is running.
    """
    _refuse_event_loop()
    options = options or DownloadOptions()
    report = DownloadReport(name, source)
    with _sole_download(source):
        links = _absent(report, options)
        bar = tqdm(links, f"{name}: fetching", unit=" photos", disable=not progress)
        with bar, Journal(source.journal) as journal:
            asyncio.run(Scheduler(links, options, report, journal, bar).run())
    return report


def _refuse_event_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise DownloadError(
        "an event loop is running in this thread, as in a notebook; run the command there, such "
        "as !fashion-jax data download"
    )


def _read_links(dataset: str, manual_dir: str | os.PathLike[str] | None) -> LinkList:
    builder = builder_class(dataset)
    if builder.read_links is None:
        raise _no_links(dataset)
    folder = None if manual_dir is None else pathlib.Path(manual_dir).expanduser().resolve()
    links: LinkList = builder.read_links(folder)
    return links


def _no_links(dataset: str) -> DownloadError:
    builder = builder_class(dataset)
    instructions = inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "")
    if not instructions:
        command = f"fashion-jax data build --dataset {dataset}"
        return DownloadError(f"{dataset} needs no download: {command} makes it")
    lines = [f"{dataset} does not publish links to its photos."]
    if builder.HOMEPAGE:
        lines.append(f"Ask for them at {builder.HOMEPAGE}")
    lines += [instructions, f"See data_builders/{dataset}/README.md."]
    return DownloadError("\n".join(lines))


@contextlib.contextmanager
def _sole_download(source: LinkList) -> Iterator[None]:
    """Keep other processes out of a directory; remove what killed ones left half written."""
    path = source.journal.with_name(f".{source.journal.name}.lock")
    try:
        source.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DownloadError(f"cannot write to {error.filename}: {error.strerror}") from error
    with sole_writer(path, f"downloading into {source.folder}"):
        remove_unfinished(source.folder)
        yield


def _absent(report: DownloadReport, options: DownloadOptions) -> list[Link]:
    """Return the links to fetch; count the photos that need no fetching."""
    source = report.source
    gone = {} if options.retry_failed else read_permanent_failures(source.journal)
    absent = []
    for link in source.links:
        failed_link, reason = gone.get(link.photo_id, ("", ""))
        if link.photo_id in source.there:
            report.there += 1
        elif failed_link == link.url:
            report.failed_before[reason] += 1
            report.reasons[link.photo_id] = reason
        else:
            absent.append(link)
    return absent[: options.limit]
