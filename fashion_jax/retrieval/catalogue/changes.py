"""Changes of a catalogue that is there: photos added, removed, brought together.

Each is one exchange of the manifest. Killed at any moment, it leaves the catalogue as it was or as
it was to be. Two changes at once wait for each other.
"""

import dataclasses
import os
import pathlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval.catalogue.changing import Changing, changing
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.items import Item, named
from fashion_jax.retrieval.catalogue.manifest import (
    CatalogueError,
    Manifest,
    SearchSettings,
    SegmentEntry,
)
from fashion_jax.retrieval.catalogue.segment import (
    EMBEDDINGS,
    finish_segment,
    new_part_name,
    write_segment,
)
from fashion_jax.retrieval.make_index import check_kind, index_kind


@dataclasses.dataclass(frozen=True)
class Change:
    """What a change did.

    Attributes:
        added: photos that are there now and were not, replacing ones included.
        removed: photos that were there and are not any more, replaced ones included.
        photos: that are there now.
    """

    added: int
    removed: int
    photos: int


@dataclasses.dataclass(frozen=True)
class Compaction:
    """A compacted catalogue.

    Attributes:
        directory: absolute path of the catalogue.
        photos: photos in it.
        changed: False where it was compact already.
    """

    directory: str
    photos: int
    changed: bool

    def to_table(self) -> str:
        """One line for people."""
        done = "in one piece" if self.changed else "nothing to do"
        return f"{done}; {self.photos:,} photos: {self.directory}"


def add_photos(
    directory: str | os.PathLike[str],
    embeddings: Any,
    items: Sequence[Item],
    thumbnails: Iterable[bytes],
    card: ModelCard,
    replace: bool = False,
    contents: Contents | None = None,
) -> Change:
    """Adds photos to a catalogue, behind those there, without rebuilding anything.

    Args:
        directory: of the catalogue.
        embeddings: [photos, dimensions], L2-normalised, any float dtype.
        items: one a photo.
        thumbnails: JPEGs, one a photo; read one by one.
        card: of the model that made the embeddings.
        replace: take photos of the same names out, in the same step.
        contents: from `check_addable`, so that an unchanged catalogue is not read again.

    Raises:
        ModelCardError: if the embeddings come from another model than the catalogue's.
        CatalogueError: if photos of these names are there and `replace` is not set, or the parts
            are not of one size.
        EmbeddingError: if the embeddings are not what `check_embeddings` asks for.
        StorageError: if there is no catalogue, or it is damaged.
    """
    with changing(directory, contents) as change:
        manifest = change.contents.manifest
        there = _addable(change.contents, {item.photo_id for item in items}, card, replace)
        width = manifest.card.embedding_width
        entry = write_segment(change.staging, embeddings, items, thumbnails, manifest.kind, width)
        photos = change.commit([*manifest.segments, entry], there)
    return Change(len(items), len(there), photos)


def check_addable(
    directory: str | os.PathLike[str],
    photo_ids: Collection[str],
    card: ModelCard,
    replace: bool = False,
) -> Contents:
    """Refuses what `add_photos` would refuse, before anything is embedded for it.

    Returns:
        What the catalogue holds now.

    Raises:
        FashionJaxError: see `add_photos`.
    """
    target = pathlib.Path(directory).absolute()
    contents = Contents.read(target, Manifest.read(target))
    _addable(contents, set(photo_ids), card, replace)
    return contents


def _addable(
    contents: Contents, photo_ids: Collection[str], card: ModelCard, replace: bool
) -> list[int]:
    """The photos of these names that are there, to be replaced."""
    contents.manifest.card.require_same(card, "the catalogue", "the new photos' model")
    there = [i for i, item in enumerate(contents.items) if item.photo_id in photo_ids]
    if there and not replace:
        known = sorted({contents.items[i].photo_id for i in there})
        raise CatalogueError(
            f"{len(known):,} of the {len(photo_ids):,} photos are in the catalogue already: "
            f"{named(known)}. Leave them out, or replace those there (--replace)"
        )
    return there


def remove_photos(
    directory: str | os.PathLike[str],
    photo_ids: Collection[str] = (),
    identities: Collection[int] = (),
    missing_ok: bool = False,
) -> Change:
    """Removes photos by their names, or all photos of products.

    Args:
        directory: of the catalogue.
        photo_ids: names of photos; of a photo of several garments all are removed.
        identities: products.
        missing_ok: remove those that are there, where others are not.

    Raises:
        CatalogueError: if names or products are not there, and `missing_ok` is not set: then
            nothing is removed.
        StorageError: if there is no catalogue, or it is damaged.
    """
    wanted_ids, wanted_products = set(photo_ids), {int(identity) for identity in identities}
    with changing(directory) as change:
        items = change.contents.items
        if not missing_ok:
            _refuse_missing(wanted_ids - {item.photo_id for item in items}, "photos")
            _refuse_missing(wanted_products - {item.identity for item in items}, "products")
        there = [
            i
            for i, item in enumerate(items)
            if item.photo_id in wanted_ids or item.identity in wanted_products
        ]
        photos = len(items)
        if there:
            photos = change.commit(change.contents.manifest.segments, there)
    return Change(0, len(there), photos)


def compact(directory: str | os.PathLike[str], kind: str | None = None) -> Compaction:
    """Brings all photos together in one segment, and builds its index anew.

    Args:
        directory: of the catalogue.
        kind: of the index from now on; by default as before.

    Raises:
        IndexKindError: an unknown kind.
        StorageError: if there is no catalogue, or it is damaged.
    """
    with changing(directory) as change:
        old = change.contents.manifest
        manifest = dataclasses.replace(old, kind=check_kind(kind or old.kind))
        if _is_compact(change.contents, manifest.kind):
            if manifest != old:
                change.install(manifest)
            return Compaction(str(change.target), len(change.contents), changed=False)
        segments = () if len(change.contents) == 0 else (_merged(change, manifest.kind),)
        change.install(dataclasses.replace(manifest, segments=segments, removed=None))
        return Compaction(str(change.target), len(change.contents), changed=True)


def set_search_settings(
    directory: str | os.PathLike[str], settings: Mapping[str, SearchSettings]
) -> None:
    """Sets how segments are searched from now on.

    Args:
        directory: of the catalogue.
        settings: by the segment's folder.

    Raises:
        CatalogueError: if a segment is not there any more.
        StorageError: if there is no catalogue, or it is damaged.
    """
    with changing(directory) as change:
        manifest = change.contents.manifest
        gone = settings.keys() - {entry.data for entry in manifest.segments}
        if gone:
            raise CatalogueError(
                f"{directory} was changed meanwhile, its segments {named(sorted(gone))} are not "
                f"there any more: tune it again"
            )
        segments = [
            dataclasses.replace(entry, search=settings.get(entry.data, entry.search))
            for entry in manifest.segments
        ]
        change.install(dataclasses.replace(manifest, segments=tuple(segments)))


def _is_compact(contents: Contents, kind: str) -> bool:
    if not contents.segments:
        return True
    if len(contents.segments) > 1 or contents.removed:
        return False
    entry = contents.segments[0].entry
    return entry.index == index_kind(kind, entry.rows)


def _merged(change: Changing, kind: str) -> SegmentEntry:
    contents = change.contents
    part = change.staging / new_part_name()
    part.mkdir()
    shape = (len(contents), contents.manifest.card.embedding_width)
    merged = np.lib.format.open_memmap(part / EMBEDDINGS, "w+", np.float32, shape)
    contents.copy_embeddings(merged)
    merged.flush()
    return finish_segment(part, contents.items, contents.thumbnails(), kind)


def _refuse_missing(missing: Collection[Any], what: str) -> None:
    if missing:
        raise CatalogueError(
            f"{len(missing):,} {what} are not in the catalogue: {named(sorted(missing))}. Nothing "
            f"was removed; correct the list, or pass over what is missing (--missing_ok)"
        )
