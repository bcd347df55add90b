"""Making of a catalogue's next generation, and its exchange for the present one.

The next generation grows as a catalogue of its own, one segment after the other, so that a killed
writer loses the segment that it was at. Complete, it is merged into the order of the present
photos and renamed. The exchange links its files into the catalogue and replaces the manifest.
"""

import contextlib
import dataclasses
import logging
import os
import pathlib
import shutil
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.files import StorageError, to_json
from fashion_jax.inference.card import ModelCard, ModelCardError
from fashion_jax.locks import sole_writer
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.changes import CatalogueChange, open_for_change, write_merged
from fashion_jax.retrieval.catalogue.contents import Contents, write_items, write_segment
from fashion_jax.retrieval.catalogue.generations import (
    GROWING,
    KEY,
    NEXT,
    manifest_of,
    photo_keys,
    places_in,
    present_items,
    stored_keys,
)
from fashion_jax.retrieval.catalogue.item_table import ORIGIN_COLUMNS, ItemTable
from fashion_jax.retrieval.catalogue.items import ITEM_COLUMNS
from fashion_jax.retrieval.catalogue.manifest import SCHEMA, Manifest
from fashion_jax.retrieval.catalogue.matching import NONE, Rows

_LOCK = ".reembed.lock"

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def sole_reembed(folder: pathlib.Path) -> Iterator[None]:
    """Hold the lock of a catalogue's next generation.

    Raises:
        InUseError: another process makes it.
        StorageError: not a catalogue.
    """
    Manifest.read(folder)  # a lock would make the folder
    with sole_writer(folder / _LOCK, f"embedding {folder} again"):
        yield


def begin(folder: pathlib.Path, card: ModelCard, discard: bool = False) -> pathlib.Path:
    """Return the folder of a model's next generation, which is made if there is none.

    Args:
        folder: folder of the catalogue.
        card: card of the model.
        discard: remove the next generation of another model.

    Raises:
        ModelCardError: there is the next generation of another model, and `discard` is not set.
        StorageError: its manifest is damaged, and `discard` is not set.
    """
    remove_left_overs(folder)
    for place in (folder / NEXT, folder / GROWING):
        try:
            stored = manifest_of(place)
            if stored is None:
                continue
            if not stored.card.difference(card):
                return place
            if not discard:
                raise _of_another_model(place, stored.card, card)
        except StorageError as error:
            if not discard:
                raise StorageError(f"{error}. Or begin anew: --discard") from error
        storage.discard(place, folder)
    if (folder / NEXT).exists():
        raise StorageError(f"{folder / NEXT} is no catalogue; move it away, its name is needed")
    with storage.staged(folder / GROWING) as staging:
        manifest = Manifest("exact", card, ())
        (staging / storage.MANIFEST).write_bytes(to_json(manifest, SCHEMA))
        storage.install_new(staging, folder / GROWING)
    return folder / GROWING


def remove_left_overs(folder: pathlib.Path) -> None:
    """Remove the next generation if a killed process had exchanged it already."""
    card = Manifest.read(folder).card
    for place in (folder / NEXT, folder / GROWING):
        with contextlib.suppress(StorageError):
            stored = manifest_of(place)
            if stored is not None and not stored.card.difference(card):
                storage.discard(place, folder)


def drop_damaged(place: pathlib.Path) -> list[str]:
    """Drop the segments of the next generation that are damaged; returns their names."""
    with open_for_change(place) as change:
        contents, damaged = change.contents, []
        lost = [np.empty(0, np.int64)]
        for number, segment in enumerate(contents.segments):
            try:
                segment.check()
            except StorageError as error:
                logger.warning("its photos are embedded again: %s", error)
                damaged.append(segment.entry.data)
                numbers = contents.photo_numbers(number)
                lost.append(numbers[numbers >= 0].astype(np.int64))
        if damaged:
            change.commit(change.without(np.concatenate(lost), contents.manifest))
        return damaged


def open_present(folder: pathlib.Path) -> Contents:
    """Open items and thumbnails of a catalogue; they stay readable whatever happens to it."""
    with open_for_change(folder) as change:
        for segment in change.contents.segments:
            _ = segment.items, segment.thumbnails
        return change.contents


def missing(present: Contents, place: pathlib.Path) -> Rows:
    """Numbers of the present photos that the next generation lacks."""
    following = Contents(place)
    places = places_in(stored_keys(following.items), photo_keys(present.items))
    return np.flatnonzero(places == NONE)


def append(
    place: pathlib.Path,
    keys: pa.ChunkedArray,
    items: ItemTable,
    embeddings: Any,
    thumbnails: Iterable[bytes],
) -> None:
    """Add a segment to the next generation; killed, it is added or not.

    Args:
        place: its folder.
        keys: `photo_keys` of the photos, as the present generation knows them.
        items: their items, with the files that were read.
        embeddings: [photos, dimensions] embeddings, L2-normalised.
        thumbnails: JPEGs, one per photo.
    """
    with open_for_change(place) as change:
        old = change.contents.manifest
        # Without fields, whose types may change meanwhile.
        names = items.columns.select([*ITEM_COLUMNS, *ORIGIN_COLUMNS])
        table = ItemTable(names).with_columns({KEY: keys})
        width = old.card.embedding_width
        entry = write_segment(change.staging, embeddings, table, thumbnails, old.kind, width)
        change.commit(dataclasses.replace(old, segments=(*old.segments, entry)))


def prepare(folder: pathlib.Path, present: Contents) -> pathlib.Path:
    """Complete the next generation: one index, in the order of the present photos.

    Args:
        folder: folder of the catalogue.
        present: its contents. Photos that the next generation lacks are left out.

    Returns:
        The folder of the next generation from now on.
    """
    growing, place = folder / GROWING, folder / NEXT
    with open_for_change(growing if growing.exists() else place) as change:
        following, kind = change.contents, present.manifest.kind
        places = places_in(photo_keys(present.items), stored_keys(following.items))
        if growing.exists() or not _is_in_order(following, places, present):
            photos = np.flatnonzero(places != NONE)
            photos = photos[np.argsort(places[photos])]
            parts = following, photos, following.items.take(photos), kind
            segments = (write_merged(change.staging, *parts),) if len(photos) else ()
            change.commit(Manifest(kind, following.manifest.card, segments))
    if growing.exists():
        growing.rename(place)
    return place


def changed_files(folder: pathlib.Path, present: Contents) -> list[str]:
    """Names of photos whose files were not those that the catalogue knows when they were read."""
    following = Contents(folder / NEXT).items
    places = places_in(photo_keys(present.items), stored_keys(following))
    kept = np.flatnonzero(places != NONE)
    known, read = present.items.take(places[kept]), following.take(kept)
    names, before, now = known.column("photo_id"), known.column("sha256"), read.column("sha256")
    return names.filter(pc.fill_null(pc.not_equal(before, now), False)).to_pylist()


def change_over(folder: pathlib.Path, change: CatalogueChange) -> None:
    """Exchange the present generation for the next, in one step.

    Args:
        folder: folder of the catalogue.
        change: the catalogue, locked; all of its photos that are to stay are in the next
            generation.
    """
    prepare(folder, change.contents)
    following, present = Contents(folder / NEXT), change.contents.items
    places = places_in(photo_keys(present), stored_keys(following.items))
    items = present_items(present, following.items, places)
    segments, start = [], 0
    for segment in following.segments:
        entry = segment.entry
        copy = change.staging / entry.data
        shutil.copytree(segment.folder, copy, copy_function=_link)
        known = write_items(change.staging, items[start : start + entry.rows])
        segments.append(dataclasses.replace(entry, items=known))
        start += entry.rows
    manifest = following.manifest
    change.commit(Manifest(manifest.kind, manifest.card, tuple(segments)))
    storage.discard(folder / NEXT, folder)


def _is_in_order(following: Contents, places: Rows, present: Contents) -> bool:
    """Whether the next generation's rows are present photos, none removed, in their order."""
    if following.removed or following.manifest.kind != present.manifest.kind:
        return False
    return bool((np.diff(places, prepend=-1) > 0).all())


def _of_another_model(place: pathlib.Path, stored: ModelCard, card: ModelCard) -> ModelCardError:
    state = "prepared" if place.name == NEXT else "unfinished"
    return ModelCardError(
        f"{place} holds the {state} embeddings of another model ({_named(stored)}) than this run's "
        f"({_named(card)}). Run `fashion-jax index reembed` with the other run to go on with them, "
        f"or remove them and begin with this one's: --discard"
    )


def _named(card: ModelCard) -> str:
    return (
        f"{card.backbone} trained on {card.dataset}, step {card.step}, weights "
        f"{card.weights_hash[:12]}"
    )


def _link(source: str, target: str) -> None:
    """Give a file another name, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
