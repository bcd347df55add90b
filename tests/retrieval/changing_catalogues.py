"""Catalogues under change, and what they have to be afterwards, in plain Python."""

import dataclasses
import random
import zlib

import numpy as np

from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue import changes as catalogue_changes
from fashion_jax.retrieval.catalogue.contents import Contents
from fashion_jax.retrieval.catalogue.where import Condition
from tests.inference import cards
from tests.retrieval.unit_vectors import unit

DIMENSIONS = 8
CARD = dataclasses.replace(cards.CARD, embedding_width=DIMENSIONS)
CATEGORIES = ("dresses", "skirts", "tops")
QUERIES = unit(np.random.default_rng(0).normal(size=(4, DIMENSIONS)))


@dataclasses.dataclass(frozen=True)
class Photo:
    """A photo; everything that a catalogue keeps of it follows from its name and version."""

    name: str
    version: int

    @property
    def item(self):
        number = zlib.crc32(self.name.encode())
        return Item(self.name, f"P{number % 5}", CATEGORIES[number % 3], "shop")

    @property
    def thumbnail(self):
        return b"\xff\xd8\xff" + f"{self.name}@{self.version}".encode()

    @property
    def vector(self):
        seed = zlib.crc32(self.thumbnail)
        return np.random.default_rng(seed).normal(size=DIMENSIONS)


@dataclasses.dataclass(frozen=True)
class Change:
    """Photos to add (`add`), names to remove (`remove`), or everything brought together."""

    add: tuple[Photo, ...] = ()
    remove: tuple[str, ...] = ()

    def of(self, photos):
        """The photos that there have to be after the change."""
        gone = {photo.name for photo in self.add} | set(self.remove)
        return [photo for photo in photos if photo.name not in gone] + list(self.add)

    def make(self, directory):
        """Change a catalogue."""
        if self.add:
            catalogue_changes.add_photos(directory, *parts(self.add), CARD, replace=True)
        elif self.remove:
            catalogue_changes.remove_photos(directory, self.remove)
        else:
            catalogue_changes.compact(directory)


def random_change(number, names):
    """The change of a number: always the same for the same names."""
    rng = random.Random(number)
    kind = rng.choice(["add", "add", "replace", "remove", "remove", "compact"])
    known = sorted(names)
    if kind == "add" and len(known) < 40:
        return Change(add=tuple(Photo(f"{number}/{i}", number) for i in range(rng.randint(1, 6))))
    if kind == "replace" and known:
        chosen = rng.sample(known, rng.randint(1, min(4, len(known))))
        return Change(add=tuple(Photo(name, number) for name in [*chosen, f"{number}/new"]))
    if known and kind != "compact":
        return Change(remove=tuple(rng.sample(known, rng.randint(1, min(9, len(known))))))
    return Change()


def make_change(number, index):
    """Make the change of a number."""
    random_change(number, {item.photo_id for item in Contents(index).items}).make(index)


def parts(photos):
    """Content of a catalogue."""
    vectors = np.array([photo.vector for photo in photos]).reshape(-1, DIMENSIONS)
    items = [photo.item for photo in photos]
    return unit(vectors), items, [photo.thumbnail for photo in photos]


def write(directory, photos, kind="exact"):
    return Catalogue.write(directory, *parts(photos), CARD, kind)


def assert_holds(catalogue, photos):
    """A catalogue holds exactly these photos, in this order."""
    embeddings, items, thumbnails = parts(photos)
    assert len(catalogue) == len(photos)
    assert list(catalogue.items) == items
    assert [catalogue.thumbnail(row) for row in range(len(photos))] == thumbnails
    np.testing.assert_array_equal(catalogue.embeddings, embeddings)


def assert_answers(catalogue, photos, k, categories=None):
    """A search finds what comparing with every photo by hand finds."""
    embeddings, items, _ = parts(photos)
    allowed = [
        i for i, item in enumerate(items) if categories is None or item.category in categories
    ]
    where = [Condition("category", "in", tuple(categories))] if categories else ()
    answers = catalogue.search(QUERIES, k, CARD, where)
    scores = QUERIES @ embeddings[allowed].T
    for query_scores, hits in zip(scores, answers, strict=True):
        order = np.argsort(-query_scores, kind="stable")[:k]
        assert [hit.row for hit in hits] == [allowed[i] for i in order]
        assert [hit.item for hit in hits] == [items[allowed[i]] for i in order]
        np.testing.assert_allclose([hit.score for hit in hits], query_scores[order], atol=1e-5)
