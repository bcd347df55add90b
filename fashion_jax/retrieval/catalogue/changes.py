"""Changes of an existing catalogue: photos added or removed, segments merged.

A change takes effect when the manifest is replaced: killed at any moment, it leaves the old state
or the new one. Concurrent changes wait for each other.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.addresses import at_addresses
from fashion_jax.errors import named
from fashion_jax.files import reserve, to_json
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.contents import (
    Contents,
    finish_segment,
    write_items,
    write_segment,
)
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError, Item, named_by_defect
from fashion_jax.retrieval.catalogue.manifest import (
    EMBEDDINGS,
    SCHEMA,
    Manifest,
    Rows,
    SearchSettings,
    SegmentEntry,
    write_removed,
)
from fashion_jax.retrieval.make_index import Kind, check_kind, index_kind


@dataclasses.dataclass(frozen=True)
class ChangedCatalogue:
    """A catalogue after a change.

    Attributes:
        added: number of photos added, replacements included.
        removed: number of photos removed, replaced ones included.
        photos: number of photos in the catalogue now.
        directory: absolute path of the catalogue.
        left_out: names of photos that could not be added, by defect.
    """

    added: int
    removed: int
    photos: int
    directory: str
    left_out: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

    def to_table(self) -> str:
        """One line for people."""
        parts = [f"{self.added:,} photos added"] if self.added else []
        if self.removed or not self.added:
            parts.append(f"{self.removed:,} {'replaced' if self.added else 'photos removed'}")
        left_out = f"; left out: {named_by_defect(self.left_out)}" if self.left_out else ""
        return f"{', '.join(parts)}; {self.photos:,} now: {self.directory}{left_out}"


@dataclasses.dataclass(frozen=True)
class CompactedCatalogue:
    """A catalogue after compaction.

    Attributes:
        directory: absolute path of the catalogue.
        photos: number of photos.
        changed: whether there was anything to merge, drop or rebuild.
    """

    directory: str
    photos: int
    changed: bool

    def to_table(self) -> str:
        """One line for people."""
        done = "compacted" if self.changed else "nothing to do"
        return f"{done}; {self.photos:,} photos: {self.directory}"


@at_addresses("directory", must_exist=("directory",))
def add_photos(
    directory: str | os.PathLike[str],
    embeddings: Any,
    items: Sequence[Item],
    thumbnails: Iterable[bytes],
    card: ModelCard,
    replace: bool = False,
    contents: Contents | None = None,
) -> ChangedCatalogue:
    """Add photos to a catalogue as a new segment; existing segments stay unchanged.

    Args:
        directory: folder of the catalogue.
        embeddings: [photos, dimensions] embeddings, L2-normalised, any float dtype.
        items: items, one per photo.
        thumbnails: JPEGs, one per photo; read one by one.
        card: card of the model that made the embeddings.
        replace: replace existing photos with the same id, in the same step.
        contents: contents read earlier; spares reading an unchanged catalogue again.

    Raises:
        ModelCardError: the embeddings come from a model other than the catalogue's.
        CatalogueError: photos with the same id exist and `replace` is not set, or embeddings,
            items and thumbnails differ in number.
        EmbeddingError: the embeddings fail `check_embeddings`.
        StorageError: not a catalogue, or a damaged one.
    """
    table = ItemTable.of(items)
    with open_for_change(directory, contents) as change:
        old = change.contents.manifest
        existing = check_addable(change.contents, table, card, replace)
        width = old.card.embedding_width
        entry = write_segment(change.staging, embeddings, table, thumbnails, old.kind, width)
        manifest = dataclasses.replace(old, segments=(*old.segments, entry))
        change.commit(change.without(existing, manifest) if len(existing) else manifest)
        photos = len(change.contents) - len(existing) + len(items)
        return ChangedCatalogue(len(items), len(existing), photos, str(change.target.resolve()))


def check_addable(
    contents: Contents, items: ItemTable, card: ModelCard, replace: bool = False
) -> Rows:
    """Refuses photos that `add_photos` would refuse, before they are embedded.

    Args:
        contents: present contents of the catalogue.
        items: items of the new photos.
        card: see `add_photos`.
        replace: see `add_photos`.

    Returns:
        Numbers of the present photos with the same ids, which are to be replaced.

    Raises:
        FashionJaxError: see `add_photos`.
    """
    contents.manifest.card.require_same(card, "the catalogue", "the new photos' model")
    present, new = contents.items, items.column("photo_id")
    same = pc.is_in(present.column("photo_id"), pc.unique(new))
    existing = np.flatnonzero(same)
    if len(existing) and not replace:
        known = sorted(pc.unique(present.column("photo_id").filter(same)).to_pylist())
        raise CatalogueError(
            f"{len(known):,} of the {len(pc.unique(new)):,} photos are in the catalogue already: "
            f"{named(known)}. Leave them out, or replace the existing ones (--replace)"
        )
    _check_types(present.types, items.types)
    return existing


def _check_types(present: Mapping[str, str], new: Mapping[str, str]) -> None:
    wrong = [
        f"{name} is {present[name]} there and {kind} here"
        for name, kind in new.items()
        if present.get(name, kind) != kind
    ]
    if wrong:
        raise CatalogueError(
            f"fields of another type than in the catalogue: {named(wrong)}. Correct the values, "
            f"give the type in a list (--types NAME=TYPE), or name the fields differently"
        )


@at_addresses("directory", must_exist=("directory",))
def remove_photos(
    directory: str | os.PathLike[str],
    photo_ids: Collection[str] = (),
    products: Collection[str] = (),
    missing_ok: bool = False,
) -> ChangedCatalogue:
    """Remove photos by id, and all photos of given products.

    Args:
        directory: folder of the catalogue.
        photo_ids: ids of photos; a photo of several garments is removed for all of them.
        products: products, by their names.
        missing_ok: skip photos and products that are not in the catalogue.

    Raises:
        CatalogueError: photos or products are not in the catalogue, and `missing_ok` is not set;
            nothing is removed then.
        StorageError: not a catalogue, or a damaged one.
    """
    wanted_ids, wanted_products = set(photo_ids), set(products)
    with open_for_change(directory) as change:
        items = change.contents.items
        if not missing_ok:
            _refuse_missing(wanted_ids, items.column("photo_id"), "photos")
            _refuse_missing(wanted_products, items.column("product"), "products")
        found = np.flatnonzero(
            pc.or_(
                pc.is_in(items.column("photo_id"), pa.array(sorted(wanted_ids), pa.string())),
                pc.is_in(items.column("product"), pa.array(sorted(wanted_products), pa.string())),
            )
        )
        if len(found):
            change.commit(change.without(found, change.contents.manifest))
        photos = len(items) - len(found)
        return ChangedCatalogue(0, len(found), photos, str(change.target.resolve()))


@at_addresses("directory", must_exist=("directory",))
def compact(directory: str | os.PathLike[str], kind: str | None = None) -> CompactedCatalogue:
    """Merge all segments into one, without removed photos, and rebuild its index.

    Args:
        directory: folder of the catalogue.
        kind: kind of index from now on; by default unchanged.

    Raises:
        FashionJaxError: an unknown kind.
        StorageError: not a catalogue, or a damaged one.
    """
    with open_for_change(directory) as change:
        old, photos = change.contents.manifest, len(change.contents)
        manifest = dataclasses.replace(old, kind=check_kind(kind or old.kind))
        needed = not _is_compact(change.contents, manifest.kind)
        if needed:
            parts = change.contents, np.arange(photos), change.contents.items, manifest.kind
            segments = (write_merged(change.staging, *parts),) if photos else ()
            manifest = dataclasses.replace(manifest, segments=segments, removed=None)
        if manifest != old:
            change.commit(manifest)
        return CompactedCatalogue(str(change.target.resolve()), photos, needed)


@at_addresses("directory", must_exist=("directory",))
def set_search_settings(
    directory: str | os.PathLike[str], settings: Mapping[str, SearchSettings]
) -> None:
    """Store search settings of segments.

    Args:
        directory: folder of the catalogue.
        settings: settings by the segment's folder.

    Raises:
        CatalogueError: a segment no longer exists.
        StorageError: not a catalogue, or a damaged one.
    """
    with open_for_change(directory) as change:
        manifest = change.contents.manifest
        gone = settings.keys() - {entry.data for entry in manifest.segments}
        if gone:
            raise CatalogueError(
                f"{directory} was changed in the meantime: its segments {named(sorted(gone))} no "
                f"longer exist; tune it again"
            )
        segments = [
            dataclasses.replace(entry, search=settings.get(entry.data, entry.search))
            for entry in manifest.segments
        ]
        change.commit(dataclasses.replace(manifest, segments=tuple(segments)))


@dataclasses.dataclass(frozen=True)
class CatalogueChange:
    """A catalogue locked for a change.

    Attributes:
        target: folder of the catalogue.
        staging: folder for new data folders and the new manifest.
        contents: present contents of the catalogue.
    """

    target: pathlib.Path
    staging: pathlib.Path
    contents: Contents

    def commit(self, manifest: Manifest) -> None:
        """Make a manifest, and the data folders staged for it, the catalogue."""
        (self.staging / storage.MANIFEST).write_bytes(to_json(manifest, SCHEMA))
        storage.replace_manifest(self.staging, self.target, manifest.folders)

    def without(self, photos: Rows, manifest: Manifest) -> Manifest:
        """Stage a list of removed rows.

        Args:
            photos: numbers of present photos to remove.
            manifest: manifest of the present segments and of new ones.

        Returns:
            The manifest without these photos.
        """
        contents = self.contents
        removed: dict[str, Rows] = dict(contents.removed)
        for number, segment in enumerate(contents.segments):
            name = segment.entry.data
            rows = np.flatnonzero(np.isin(contents.photo_numbers(number), photos))
            if len(rows):
                removed[name] = np.union1d(removed.get(name, rows[:0]), rows)
        kept = [
            entry for entry in manifest.segments if len(removed.get(entry.data, ())) < entry.rows
        ]
        listed = {entry.data: removed[entry.data] for entry in kept if entry.data in removed}
        entry = write_removed(self.staging, listed) if listed else None
        return dataclasses.replace(manifest, segments=tuple(kept), removed=entry)

    def with_items(self, tables: Mapping[int, ItemTable]) -> Manifest:
        """Stage new tables of items, one per row, for some segments.

        Args:
            tables: tables by the segment's place in the manifest.

        Returns:
            The present manifest with these tables.
        """
        segments = [
            dataclasses.replace(entry, items=write_items(self.staging, tables[number]))
            if number in tables
            else entry
            for number, entry in enumerate(self.contents.manifest.segments)
        ]
        return dataclasses.replace(self.contents.manifest, segments=tuple(segments))


@contextlib.contextmanager
def open_for_change(
    directory: str | os.PathLike[str], known: Contents | None = None
) -> Iterator[CatalogueChange]:
    """Locks a catalogue for a change; waits while another change is running.

    Args:
        directory: folder of the catalogue.
        known: contents read earlier; used if the catalogue has not changed since.

    Raises:
        StorageError: not a catalogue, or a damaged one.
    """
    target = pathlib.Path(directory).absolute()
    if known is None or not target.is_dir():
        Manifest.read(target)  # explains a folder that cannot be locked
    with storage.locked(target), storage.staged(target) as staging:
        manifest = Manifest.read(target)
        if known is None or known.manifest != manifest:
            known = Contents(target, manifest)
        yield CatalogueChange(target, staging, known)


class NewCatalogue(CatalogueChange):
    """A catalogue that is made, or replaced as a whole."""

    def commit(self, manifest: Manifest) -> None:
        """Make a manifest, and the data folders staged for it, the catalogue."""
        (self.staging / storage.MANIFEST).write_bytes(to_json(manifest, SCHEMA))
        storage.install(self.staging, self.target)


@contextlib.contextmanager
def open_new(directory: str | os.PathLike[str], empty: Contents) -> Iterator[NewCatalogue]:
    """Prepares a new catalogue.

    Args:
        directory: folder of the catalogue.
        empty: its contents so far; see `empty_contents`.
    """
    target = pathlib.Path(directory).absolute()
    with storage.staged(target) as staging:
        yield NewCatalogue(target, staging, empty)


def _is_compact(contents: Contents, kind: Kind) -> bool:
    if not contents.segments:
        return True
    if len(contents.segments) > 1 or contents.removed:
        return False
    entry = contents.segments[0].entry
    return entry.index == index_kind(kind, entry.rows)


def write_merged(
    staging: pathlib.Path, contents: Contents, photos: Rows, items: ItemTable, kind: Kind
) -> SegmentEntry:
    """Write some photos of a catalogue into one new segment.

    Args:
        staging: staging folder.
        contents: contents of the catalogue.
        photos: numbers of the photos, in the order of the new rows.
        items: their items.
        kind: kind of the catalogue's index.

    Returns:
        The manifest's entry for the segment.
    """
    folder = storage.new_data_folder(staging)
    shape = (len(photos), contents.manifest.card.embedding_width)
    merged = np.lib.format.open_memmap(folder / EMBEDDINGS, "w+", np.float32, shape)
    reserve(folder / EMBEDDINGS)
    contents.copy_embeddings(merged, photos)
    merged.flush()
    return finish_segment(folder, items, contents.thumbnails(photos), kind)


def _refuse_missing(wanted: Collection[str], present: pa.ChunkedArray, what: str) -> None:
    missing = set(wanted) - set(
        present.filter(pc.is_in(present, pa.array([*wanted], pa.string()))).to_pylist()
    )
    if missing:
        raise CatalogueError(
            f"{len(missing):,} {what} are not in the catalogue: {named(sorted(missing))}. Nothing "
            f"was removed; correct the list, or skip missing ones (--missing_ok)"
        )
