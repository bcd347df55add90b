"""Lists of photos that a catalogue is to hold, and what it has to be then, in plain Python."""

import collections
import dataclasses
import random
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from fashion_jax.datasets.boxes import Box
from fashion_jax.retrieval.catalogue import Catalogue, Item, ItemTable, Origin
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.sync import sync_photos
from fashion_jax.retrieval.catalogue.sync_plan import EmbeddedPhotos
from fashion_jax.retrieval.catalogue.update import Facts, update_photos
from tests.retrieval.changing_catalogues import CARD, DIMENSIONS
from tests.retrieval.unit_vectors import unit


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a list; vector and thumbnail follow from the content of its file and its box."""

    photo: str
    product: str = ""
    content: str = "0"
    box: Box | None = None
    fields: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    category: str = "item"
    mtime_ns: int = 0

    @property
    def item(self):
        return Item(self.photo, self.product, self.category, "shop", self.fields)

    @property
    def origin(self):
        sha256 = f"sha256 of {self.content}"
        return Origin(f"/{self.photo}", self.box, "pixels", sha256, 7, self.mtime_ns)


def table_of(rows):
    """The rows as a list's reader and the look at their files give them."""
    return ItemTable.of([row.item for row in rows], [row.origin for row in rows])


def vector_of(origin):
    seed = zlib.crc32(f"{origin.sha256} {origin.box}".encode())
    return unit(np.random.default_rng(seed).normal(size=(1, DIMENSIONS)))[0]


def thumbnail_of(origin):
    return b"\xff\xd8\xff" + f"{origin.sha256} {origin.box}".encode()


class Embedder:
    """Embeds photos, and notes which.

    Attributes:
        asked: (photo, box) of all photos that were embedded.
    """

    def __init__(self, bad=()):
        self.asked = []
        self.bad = set(bad)

    def __call__(self, photos):
        origins = [photos.origin(row) for row in range(len(photos))]
        self.asked += [(item.photo_id, o.box) for item, o in zip(photos, origins, strict=True)]
        rows = [row for row, item in enumerate(photos) if item.photo_id not in self.bad]
        vectors = np.array([vector_of(origins[row]) for row in rows], np.float32)
        return EmbeddedPhotos(
            np.array(rows, np.int64),
            photos.take(rows),
            vectors.reshape(-1, DIMENSIONS),
            [thumbnail_of(origins[row]) for row in rows],
        )


def sync(index, rows, embed=None):
    return sync_photos(index, table_of(rows), embed or Embedder(), CARD)


def write(index, rows):
    """A catalogue of these photos, built in one go."""
    return Catalogue.write(index, *parts_of(rows), CARD, "exact")


def parts_of(rows):
    """Content of a catalogue."""
    vectors = np.array([vector_of(row.origin) for row in rows], np.float32)
    return vectors, table_of(rows), [thumbnail_of(row.origin) for row in rows]


def content_of(index):
    """All that is known of each photo, however often and in whichever order."""
    catalogue = Catalogue.open(index)
    items = catalogue.items
    return collections.Counter(
        known(item, items.origin(row), catalogue.embeddings[row], catalogue.thumbnail(row))
        for row, item in enumerate(items)
    )


def expected(rows):
    return collections.Counter(
        known(row.item, row.origin, vector_of(row.origin), thumbnail_of(row.origin)) for row in rows
    )


def known(item, origin, vector, thumbnail):
    fields = tuple(sorted((name, repr(value)) for name, value in item.fields.items()))
    names = (item.photo_id, item.product, item.category, item.domain)
    return names, fields, origin, np.float32(vector).tobytes(), thumbnail


def rows_in(index):
    """The rows that a catalogue was brought in line with, in an order of their own."""
    items = Contents(index).items
    rows = [row_of(item, items.origin(number)) for number, item in enumerate(items)]
    return sorted(rows, key=lambda row: row.photo)


def row_of(item, origin):
    content = origin.sha256.removeprefix("sha256 of ")
    own = {"fields": item.fields, "category": item.category, "mtime_ns": origin.mtime_ns}
    return Row(item.photo_id, item.product, content, origin.box, **own)


def random_change(number, rows):
    """The change of a number: always the same for the same rows.

    Returns:
        A function that makes it, given the catalogue, and the rows afterwards.
    """
    rng = random.Random(number)
    if number % 3 == 0:
        chosen = rng.sample(rows, rng.randint(1, len(rows)))
        names, fields = sorted({row.photo for row in chosen}), {"price": float(number)}
        after = [dataclasses.replace(row, fields=fields) if row in chosen else row for row in rows]
        return lambda index: set_prices(index, names, float(number)), after
    kept = rng.sample(rows, rng.randint(len(rows) // 2, len(rows)))
    after = [
        rng.choice(
            [
                row,
                row,
                dataclasses.replace(row, content=f"{row.photo} {number}"),
                dataclasses.replace(row, product=str(number)),
            ]
        )
        for row in kept
    ]
    new = range(max(1, 20 - len(after)))
    after += [Row(f"{number}/{each}", "new", f"{number} {each % 3}") for each in new]
    return lambda index: sync(index, after), sorted(after, key=lambda row: row.photo)


def set_prices(index, names, value):
    """Give photos a price."""
    keys = pa.table({"photo_id": pa.array(names)})
    facts = Facts(keys, pa.table({"field:price": pa.array([value] * len(names))}))
    return update_photos(index, lambda _: facts)


def make_change(number, index):
    """Make the change of a number."""
    make, _ = random_change(number, rows_in(index))
    make(index)


def states_through(rows, first, last):
    """The rows before change `first`, and after each change from there to `last`."""
    states = [rows]
    for number in range(first, last + 1):
        states.append(random_change(number, states[-1])[1])
    return states
