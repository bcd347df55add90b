"""The present generation of a catalogue, and the next one, made by another model.

```
index/
  manifest.json, data-…/   the present generation
  reembed/                 the next one while its photos are embedded: a catalogue of its own
  next/                    the next one when it is complete: it answers the queries of its model
```

A row of the next generation keeps the key of the photo that it was made of. What is known of a
photo, and whether it is in the catalogue at all, is always the present generation's to say.
"""

import contextlib
import os
import pathlib
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fashion_jax.datasets.photo_lists.fields import FIELD
from fashion_jax.errors import FashionJaxError
from fashion_jax.inference.card import ModelCard, ModelCardError
from fashion_jax.retrieval.catalogue.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.item_table import ItemTable
from fashion_jax.retrieval.catalogue.manifest import Manifest
from fashion_jax.retrieval.catalogue.matching import NONE, Rows, pair_rows, vector_key
from fashion_jax.retrieval.storage import MANIFEST

GROWING, NEXT = "reembed", "next"
KEY = f"{FIELD}reembed key"
"""Column of the next generation's items with the key of the photo; it is never answered."""

_OF_THE_FILE = ("source", "sha256", "size", "mtime_ns")
_SEPARATOR = "\0"  # no path has it


def open_for(
    directory: str | os.PathLike[str], card: ModelCard, older: Catalogue | None = None
) -> Catalogue:
    """Open the generation of a catalogue that a model's queries are answered by.

    The next generation answers for photos that are in the catalogue still, with the present items.

    Args:
        directory: folder of the catalogue.
        card: card of the queries' model.
        older: the same catalogue, opened in an older state; see `Catalogue.open`.

    Raises:
        ModelCardError: no complete generation is of this model.
        StorageError: not a catalogue, or files (which are named) are damaged.
    """
    folder = pathlib.Path(directory).absolute()
    while True:
        before = _manifests(folder)
        try:
            return _open(folder, card, older)
        except (FashionJaxError, OSError):
            # A change may have exchanged the generations, or removed old files, in between.
            if _manifests(folder) == before:
                raise


def photo_keys(items: ItemTable) -> pa.ChunkedArray:
    """Return texts that are equal for photos of equal names, bytes and boxes."""
    parts = [*vector_key(items).columns, items.column("photo_id")]
    texts = [pc.fill_null(pc.cast(part, pa.string()), "") for part in parts]
    return pc.binary_join_element_wise(*texts, _SEPARATOR)


def stored_keys(items: ItemTable) -> pa.ChunkedArray:
    """Return the keys of the photos that rows of the next generation were made of."""
    if KEY not in items.columns.column_names:
        return pa.chunked_array([pa.repeat("", len(items))])
    return pc.fill_null(items.column(KEY), "")


def places_in(others: pa.ChunkedArray, keys: pa.ChunkedArray) -> Rows:
    """Pair equal keys one to one, the first with the first.

    Returns:
        The place of each key among the others; `NONE` for none.
    """
    return pair_rows(pa.table({"key": others}), pa.table({"key": keys}))


def present_items(present: ItemTable, following: ItemTable, places: Rows) -> ItemTable:
    """Return what is known of the next generation's photos at present.

    Args:
        present: items of the present generation.
        following: items of the next generation, which know the files that were read.
        places: row of each of the latter in the former.
    """
    return present.take(places).with_columns(
        {name: following.column(name) for name in _OF_THE_FILE}
    )


def manifest_of(place: pathlib.Path) -> Manifest | None:
    """Read the manifest of a generation; `None` if it does not exist.

    Raises:
        StorageError: the manifest is damaged or of another version.
    """
    return Manifest.read(place) if (place / MANIFEST).exists() else None


def _open(folder: pathlib.Path, card: ModelCard, older: Catalogue | None) -> Catalogue:
    present = Manifest.read(folder)
    if not present.card.difference(card):
        catalogue = Catalogue.open(folder, older)
        catalogue.card.require_same(card, "the catalogue", "the query's model")
        return catalogue
    following = manifest_of(folder / NEXT)
    if following is None or following.card.difference(card):
        _refuse(folder, present, card)
    contents = Contents(folder / NEXT, following)
    for segment in contents.segments:
        segment.open()
    return Catalogue(_as_present(Contents(folder, present).items, contents))


def _as_present(present: ItemTable, following: Contents) -> Contents:
    """Narrow the next generation to photos that are in the catalogue still."""
    places = places_in(photo_keys(present), stored_keys(following.items))
    kept = np.flatnonzero(places != NONE)
    items = present_items(present, following.items.take(kept), places[kept])
    return following.narrowed(kept, items)


def _refuse(folder: pathlib.Path, present: Manifest, card: ModelCard) -> NoReturn:
    growing = manifest_of(folder / GROWING)
    if growing is not None and not growing.card.difference(card):
        photos = sum(segment.rows for segment in growing.segments)
        raise ModelCardError(
            f"{folder} is being embedded by this model, {photos:,} photos so far, and does not "
            f"answer its queries yet: run the same `fashion-jax index reembed` again to finish it"
        )
    present.card.require_same(card, "the catalogue", "the query's model")
    raise AssertionError("cards that differ are refused")


def generation_stamp(directory: str | os.PathLike[str]) -> tuple[object, ...]:
    """Return a value that changes with every change of a catalogue; its files are not read."""
    found: list[object] = []
    for place in (pathlib.Path(directory), pathlib.Path(directory) / NEXT):
        found.append(None)
        with contextlib.suppress(OSError):
            status = (place / MANIFEST).stat()
            found[-1] = (status.st_ino, status.st_mtime_ns, status.st_size)
    return tuple(found)


def _manifests(folder: pathlib.Path) -> list[bytes]:
    found = []
    for place in (folder, folder / NEXT, folder / GROWING):
        found.append(b"")
        with contextlib.suppress(OSError):
            found[-1] = (place / MANIFEST).read_bytes()
    return found
