"""Brings a catalogue in line with a list of photos, in one step for its readers."""

import contextlib
import os
import pathlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.addresses import at_addresses
from fashion_jax.inference.card import ModelCard
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue.changes import CatalogueChange, open_for_change, open_new
from fashion_jax.retrieval.catalogue.contents import Contents, empty_contents, read_contents
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.items import CatalogueError
from fashion_jax.retrieval.catalogue.matching import NONE, first_equal, take, vector_key
from fashion_jax.retrieval.catalogue.sync_plan import EmbeddedPhotos, SyncedIndex, SyncPlan

Embed = Callable[[ItemTable], EmbeddedPhotos]


@at_addresses("directory", must_exist=("directory",))
def present_contents(directory: str | os.PathLike[str], card: ModelCard) -> Contents:
    """Read a catalogue that is to be changed or, if it is missing, made.

    Args:
        directory: folder of the catalogue.
        card: card of the model that embeds its photos.

    Raises:
        ModelCardError: a catalogue of another model.
        StorageError: something other than a catalogue, or a damaged one.
    """
    target = pathlib.Path(directory).absolute()
    if not (target / storage.MANIFEST).exists():
        storage.require_free(target)
        return empty_contents(target, card)
    contents = read_contents(target)
    contents.manifest.card.require_same(card, "the catalogue", "the photos' model")
    return contents


@at_addresses("directory", must_exist=("directory",))
def sync_photos(
    directory: str | os.PathLike[str], wanted: ItemTable, embed: Embed, card: ModelCard
) -> SyncedIndex:
    """Make a catalogue hold exactly these photos; a missing one is made.

    Only photos whose bytes and box have no embedding yet are embedded. No lock is held meanwhile;
    if the catalogue is changed by others, what is to be done is found anew.

    Args:
        directory: folder of the catalogue.
        wanted: the photos, with the SHA-256 of their files.
        embed: function that embeds photos; photos that it leaves out are not usable.
        card: card of the model that embeds them.

    Raises:
        CatalogueError: no photo is usable.
        ModelCardError: a catalogue of another model.
        StorageError: something other than a catalogue, or a damaged one.
    """
    target = pathlib.Path(directory).absolute()
    embedded = EmbeddedPhotos.none(card.embedding_width)
    contents = present_contents(target, card)
    while True:
        if not len(wanted):
            raise CatalogueError("no photo is usable; nothing was changed")
        plan = SyncPlan.of(contents, wanted, embedded.items)
        if len(plan.missing):
            asked = wanted.take(plan.missing)
            more = embed(asked)
            embedded = embedded.and_more(more)
            wanted = _as_read(_without(wanted, asked, more), more.items)
            continue
        with _opened(target, contents) as change:
            if change.contents is contents:
                manifest = plan.stage(change, embedded)
                if manifest != contents.manifest:
                    change.commit(manifest)
                return plan.result(target, True, len(embedded.items))
        contents = present_contents(target, card)


def _opened(
    target: pathlib.Path, contents: Contents
) -> contextlib.AbstractContextManager[CatalogueChange]:
    """The catalogue, locked; or one that is to be made."""
    if contents.segments or (target / storage.MANIFEST).exists():
        return open_for_change(target, contents)
    return open_new(target, contents)


def _without(wanted: ItemTable, asked: ItemTable, embedded: EmbeddedPhotos) -> ItemTable:
    """Photos without those that share bytes and box with an unusable one."""
    unusable = asked.take(np.setdiff1d(np.arange(len(asked)), embedded.rows))
    found = first_equal(vector_key(unusable), vector_key(wanted))
    return wanted.take(np.flatnonzero(found == NONE))


def _as_read(wanted: ItemTable, read: ItemTable) -> ItemTable:
    """Photos with the facts of files that were read meanwhile, and may have changed before."""
    source = [items.columns.select(["source"]) for items in (read, wanted)]
    rows = first_equal(*source)
    hit = pa.array(rows != NONE)
    return wanted.with_columns(
        {
            name: pc.if_else(
                hit,
                take(read.column(name), rows).combine_chunks(),
                wanted.column(name).combine_chunks(),
            )
            for name in ("sha256", "size", "mtime_ns")
        }
    )
