"""Brings an index in line with a shop's list of photos: its daily feed."""

import collections
import dataclasses
import logging
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from fashion_jax.addresses import at_addresses
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.datasets.photo_lists.checks import is_link
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.model import Embeddings, Photo, load_model
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import named_by_defect
from fashion_jax.retrieval.catalogue.matching import NONE, first_equal, vector_key
from fashion_jax.retrieval.catalogue.sync import present_contents, sync_photos
from fashion_jax.retrieval.catalogue.sync_plan import EmbeddedPhotos, SyncedIndex, SyncPlan
from fashion_jax.serving.build_index import index_folder
from fashion_jax.serving.linked_photos import download_photos, use_downloaded
from fashion_jax.serving.new_photos import Defaults, read_list, require_fields
from fashion_jax.serving.photo_files import add_file_facts
from fashion_jax.serving.photo_reader import PhotoReader, find_defects

logger = logging.getLogger(__name__)

Defects = dict[str, list[str]]


@at_addresses("workdir", "index", must_exist=("workdir",))
def sync_index(
    workdir: str | os.PathLike[str],
    feed: str | os.PathLike[str],
    photos: str | os.PathLike[str] | None = None,
    index: str | os.PathLike[str] | None = None,
    *,
    defaults: Defaults | None = None,
    types: Mapping[str, str] | None = None,
    none: Sequence[str] = (),
    link: str | None = None,
    skip_bad: bool = False,
    checksum: bool = False,
    max_removed: float = 1.0,
    dry_run: bool = False,
    download: DownloadOptions | None = None,
    progress: bool = True,
) -> SyncedIndex:
    """Make an index hold what a list names, and nothing else; a missing index is made.

    New photos, and those whose bytes changed, are embedded with a run's best model. The change
    takes effect in one step, and what it will be is logged before.

    Args:
        workdir: workdir of the run.
        feed: the list; see `fashion_jax.serving.new_photos.read_list`.
        photos: folder that the list's photos are relative to, and that photos are downloaded into.
        index: folder of the index; by default `index` in the workdir.
        defaults: what is known of photos that the list says nothing about.
        types: types of fields, by name; by default those in the index, or what their values are.
        none: words for an empty cell.
        link: column with the photos' addresses, in a list that names the photos as well.
        skip_bad: leave out unusable photos, and remove them if they are in the index; otherwise
            nothing is changed then.
        checksum: read all files; by default those of the same size and time count as unchanged.
        max_removed: largest share of the index's photos that may be removed.
        dry_run: change nothing, and download nothing.
        download: limits of a download; photos that could not be fetched are always tried again.
        progress: whether to show bars.

    Raises:
        FashionJaxError: no run, an invalid list, unusable photos (all of which are counted and
            named), more photos to remove than allowed, or an index of another model.
    """
    if not 0 <= max_removed <= 1:
        raise FashionJaxError(f"--max_removed must be a share in 0..1, not {max_removed:g}")
    model, folder = load_model(workdir), index_folder(workdir, index)
    contents = present_contents(folder, model.card)
    path, place = pathlib.Path(feed), None if photos is None else pathlib.Path(photos)
    all_types = {**contents.items.types, **(types or {})}
    wanted = read_list(path, place, defaults or Defaults(), all_types, none, True, link)
    require_fields(types or {}, list(wanted.fields), path)
    bad: Defects = collections.defaultdict(list)
    wanted, to_download = use_downloaded(wanted, place)
    if to_download and not dry_run:
        wanted = _downloaded(wanted, place, path, download, progress, bad)
        to_download = 0
    wanted = _compared(wanted, contents, checksum, progress, bad)
    plan = SyncPlan.of(contents, wanted)
    summary = plan.result(folder, False, len(plan.missing))
    summary = dataclasses.replace(summary, to_download=to_download, left_out=bad)
    if dry_run:
        return summary
    logger.info("%s", summary.to_table())
    _refuse_bad(bad, skip_bad)
    _refuse_removal(summary, len(contents), max_removed)
    with storage.staged(folder.absolute()):  # can be written
        pass
    embedder = _Embedder(model.embed, skip_bad, progress, bad)
    done = sync_photos(folder, wanted, embedder, model.card)
    return dataclasses.replace(done, left_out=bad)


@dataclasses.dataclass(frozen=True)
class _Embedder:
    """Embeds photos that were checked before; some may have changed since."""

    embed: Callable[[Iterator[Photo]], Embeddings]
    skip_bad: bool
    progress: bool
    bad: Defects

    def __call__(self, photos: ItemTable) -> EmbeddedPhotos:
        reader = PhotoReader(photos, self.progress)
        embeddings = self.embed(reader.pixels())
        _refuse_bad(reader.bad, self.skip_bad)
        _merge(self.bad, reader.bad)
        rows = np.array(reader.rows, np.int64)
        return EmbeddedPhotos(rows, reader.items(), embeddings, reader.thumbnails)


def _downloaded(
    wanted: ItemTable,
    folder: pathlib.Path | None,
    feed: pathlib.Path,
    options: DownloadOptions | None,
    progress: bool,
    bad: Defects,
) -> ItemTable:
    """Photos that are there, or could be downloaded."""
    if folder is None:
        raise FashionJaxError(
            f"the photos of {feed} are addresses: name a folder to download them into (--photos)"
        )
    options = dataclasses.replace(options or DownloadOptions(), retry_failed=True)
    wanted, failed = download_photos(wanted, folder, feed, options, progress)
    _merge(bad, failed)
    return wanted


def _compared(
    wanted: ItemTable, contents: Contents, checksum: bool, progress: bool, bad: Defects
) -> ItemTable:
    """Usable photos, with the facts of their files; new ones are decoded once to know."""
    wanted, unreadable = add_file_facts(wanted, contents.items, checksum, progress)
    _merge(bad, unreadable)
    new = wanted.take(SyncPlan.of(contents, wanted).missing)
    there = np.flatnonzero([not is_link(source) for source in new.column("source").to_pylist()])
    new = new.take(there)
    defects = find_defects(new, progress)
    same = first_equal(vector_key(new), vector_key(wanted))
    usable = np.array([row == NONE or not defects[row] for row in same], bool)
    names = wanted.column("photo_id")
    for row in np.flatnonzero(~usable).tolist():
        bad[defects[same[row]]].append(names[row].as_py())
    return wanted.take(np.flatnonzero(usable))


def _merge(bad: Defects, more: Mapping[str, Sequence[str]]) -> None:
    for defect, names in more.items():
        bad[defect] += names


def _refuse_bad(bad: Mapping[str, Sequence[str]], skip_bad: bool) -> None:
    if not bad or skip_bad:
        return
    count = sum(map(len, bad.values()))
    trusted = any("private_address" in defect for defect in bad)
    hint = "; links into the local network are followed with --allow_private_hosts" * trusted
    raise FashionJaxError(
        f"{count:,} of the list's photos cannot be used: {named_by_defect(bad)}{hint}. Nothing was "
        f"changed; fix them, take them out of the list, or leave them out (--skip_bad)"
    )


def _refuse_removal(summary: SyncedIndex, present: int, limit: float) -> None:
    if summary.removed > limit * present:
        raise FashionJaxError(
            f"{summary.removed:,} of {present:,} photos are not in the list and would be removed; "
            f"the limit is {limit:.1%} of them. Nothing was changed; look whether the list is "
            f"whole, or raise --max_removed"
        )
