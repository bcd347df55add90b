"""Photos that a list names by their addresses on the web, downloaded into a folder."""

import collections
import hashlib
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from fashion_jax.datasets.download.links import BadLinkError, Link, LinkList, clean_url
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.photo_lists.checks import is_link
from fashion_jax.retrieval.catalogue.item_table import ItemTable

_JOURNAL = ".download_journal.jsonl"
_NAME = 32  # hexadecimal digits; equal for no two addresses in the world


def use_downloaded(photos: ItemTable, folder: pathlib.Path | None) -> tuple[ItemTable, int]:
    """Put the files of photos that were downloaded earlier in the place of their addresses.

    Returns:
        The photos, and the number of addresses left.
    """
    sources = photos.column("source").to_pylist()
    links = [source for source in sources if is_link(source)]
    if not links or folder is None:
        return photos, len(set(links))
    files = _files(folder)
    paths = {link: str(files[_name(link)]) for link in links if _name(link) in files}
    found = pa.array([paths.get(source, source) for source in sources], pa.string())
    return photos.with_columns({"source": found}), len(set(links) - paths.keys())


def download_photos(
    photos: ItemTable,
    folder: pathlib.Path,
    source: pathlib.Path,
    options: DownloadOptions,
    progress: bool = True,
) -> tuple[ItemTable, Mapping[str, Sequence[str]]]:
    """Download the photos whose sources are addresses.

    A file's name follows from its address, so that another address is another file.

    Args:
        photos: photos with their sources.
        folder: folder for their files; made if missing.
        source: the list, for messages.
        options: limits; photos that could not be fetched earlier are always tried again.
        progress: whether to show a bar.

    Returns:
        The photos that are there, with their files as sources, and the names of the others by
        defect.

    Raises:
        KeyboardInterrupt: Ctrl-C; what was fetched stays.
        FashionJaxError: see `fetch_links`.
    """
    from fashion_jax.datasets.download.download import fetch_links  # needs the extra

    addresses = sorted({each for each in photos.column("source").to_pylist() if is_link(each)})
    reasons: dict[str, str] = {}
    links = []
    for address in addresses:
        try:
            links.append(Link(_name(address), clean_url(address)))
        except BadLinkError:
            reasons[_name(address)] = "bad_link"
    listed = LinkList(source, links, [], frozenset(), folder, folder / _JOURNAL)
    report = fetch_links(source.name, listed, options, progress)
    if report.interrupted:
        raise KeyboardInterrupt
    photos, _ = use_downloaded(photos, folder)
    return _split(photos, reasons | report.reasons)


def _split(
    photos: ItemTable, reasons: Mapping[str, str]
) -> tuple[ItemTable, Mapping[str, Sequence[str]]]:
    """Take photos apart that are still addresses."""
    bad = collections.defaultdict(list)
    sources = photos.column("source").to_pylist()
    left = np.flatnonzero([is_link(source) for source in sources])
    names = photos.column("photo_id")
    for row in left.tolist():
        bad[f"not downloaded: {reasons[_name(sources[row])]}"].append(names[row].as_py())
    return photos.take(np.setdiff1d(np.arange(len(photos)), left)), bad


def _name(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:_NAME]


def _files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Files by their names without endings."""
    if not folder.is_dir():
        return {}
    return {path.stem: path.absolute() for path in folder.iterdir() if path.name[0] != "."}
