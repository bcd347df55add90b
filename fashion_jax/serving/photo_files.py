"""Facts of photos' files, which tell those that changed since they were embedded."""

import collections
import pathlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from fashion_jax.datasets.photo_lists.checks import is_link
from fashion_jax.datasets.photos import UndecodablePhotoError
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.matching import first_equal, take
from fashion_jax.serving.photo_reader import defect_of
from fashion_jax.serving.photo_sources import FileFacts, read_content, with_facts

_AT_ONCE = 1024
_THREADS = 16  # reading from a network disk is mostly waiting


def add_file_facts(
    photos: ItemTable, present: ItemTable, checksum: bool = False, progress: bool = True
) -> tuple[ItemTable, Mapping[str, Sequence[str]]]:
    """Find out SHA-256, size and time of the photos' files.

    A file of the same size and time as in the catalogue is taken for unchanged.

    Args:
        photos: photos with their sources; nothing is found out of addresses.
        present: items of the catalogue.
        checksum: read all files.
        progress: whether to show a bar.

    Returns:
        The photos without those whose files cannot be read, and the names of these by defect.
    """
    sources = pc.unique(photos.column("source")).to_pylist()
    facts: dict[str, FileFacts | str | None] = dict.fromkeys(sources)
    if not checksum:
        facts |= _known(sources, present)
    unread = [source for source in sources if facts[source] is None and not is_link(source)]
    bar = tqdm(total=len(unread), desc="compare", unit="photo", disable=not progress, leave=False)
    with bar, ThreadPoolExecutor(_THREADS, thread_name_prefix="compare") as pool:
        for start in range(0, len(unread), _AT_ONCE):
            part = unread[start : start + _AT_ONCE]
            facts |= zip(part, pool.map(_read, part), strict=True)
            bar.update(len(part))
    return _split(photos, [facts[source] for source in photos.column("source").to_pylist()])


def _known(sources: Sequence[str], present: ItemTable) -> Mapping[str, FileFacts]:
    """Facts of files that are as the catalogue knows them."""
    sizes, times = np.array([_status(each) for each in sources], np.int64).reshape(-1, 2).T
    files = pa.table(
        {
            "source": pa.array(sources, pa.string()),
            "size": pa.array(sizes),
            "mtime_ns": pa.array(times),
        }
    )
    rows = first_equal(present.columns.select(files.column_names), files)
    sha256 = take(present.column("sha256"), rows).to_pylist()
    found = zip(sources, map(FileFacts, sha256, sizes.tolist(), times.tolist()), strict=True)
    return {source: facts for source, facts in found if facts.sha256 is not None}


def _status(source: str) -> tuple[int, int]:
    """Size and time of a file; −1 if it does not say, which reading explains."""
    try:
        status = pathlib.Path(source).stat()
    except (OSError, ValueError):
        return -1, -1
    return status.st_size, status.st_mtime_ns


def _read(source: str) -> FileFacts | str:
    """Facts of a file, or its defect."""
    try:
        return read_content(source)[1]
    except UndecodablePhotoError as error:
        return defect_of(error)


def _split(
    photos: ItemTable, facts: Sequence[FileFacts | str | None]
) -> tuple[ItemTable, Mapping[str, Sequence[str]]]:
    bad = collections.defaultdict(list)
    names = photos.column("photo_id")
    rows, good = [], []
    for row, found in enumerate(facts):
        if isinstance(found, str):
            bad[found].append(names[row].as_py())
        else:
            rows.append(row)
            good.append(found)
    return with_facts(photos.take(rows), good), bad
