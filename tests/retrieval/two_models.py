"""Catalogues of two models: the same photos, other embeddings."""

import dataclasses
import hashlib
import pathlib

import numpy as np

from fashion_jax.retrieval.catalogue import Catalogue, ItemTable, Origin
from fashion_jax.retrieval.catalogue import next_generation as following
from fashion_jax.retrieval.catalogue.changes import add_photos, open_for_change
from fashion_jax.retrieval.catalogue.generations import photo_keys
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.unit_vectors import unit

WIDTHS = {"first": 8, "second": 12}
CARDS = {
    name: dataclasses.replace(CARD, embedding_width=width, weights_hash=name)
    for name, width in WIDTHS.items()
}
AT_ONCE = 4


def items(photos):
    """What a catalogue knows of photos; a version is other bytes."""
    origins = [Origin(f"/photos/{p.name}", sha256=sha256(p), size=1, mtime_ns=2) for p in photos]
    return ItemTable.of([photo.item for photo in photos], origins)


def sha256(photo):
    return hashlib.sha256(photo.thumbnail).hexdigest()


def embed(photos, model):
    return embed_hashes([sha256(photo) for photo in photos], model)


def embed_hashes(hashes, model):
    """Embeddings of a model, each of a photo's bytes alone."""
    vectors = [
        np.random.default_rng([int(each[:8], 16), WIDTHS[model]]).normal(size=WIDTHS[model])
        for each in hashes
    ]
    return unit(np.array(vectors).reshape(-1, WIDTHS[model]))


def write(index, photos, model="first", kind="exact"):
    thumbnails = [photo.thumbnail for photo in photos]
    return Catalogue.write(
        index, embed(photos, model), items(photos), thumbnails, CARDS[model], kind
    )


def add(index, photos, model="first"):
    """Add photos to the present generation, in place of those of the same names."""
    thumbnails = [photo.thumbnail for photo in photos]
    add_photos(index, embed(photos, model), items(photos), thumbnails, CARDS[model], replace=True)


def reembed(place, present, model, at_once=100, most=None):
    """Embed what the next generation lacks; returns the names of the photos that were embedded."""
    rows = following.missing(present, place)[:most]
    for start in range(0, len(rows), at_once):
        part = rows[start : start + at_once]
        known = present.items.take(part)
        embeddings = embed_hashes(known.column("sha256").to_pylist(), model)
        thumbnails = [present.thumbnail(row) for row in part.tolist()]
        following.append(place, photo_keys(known), known, embeddings, thumbnails)
    return present.items.take(rows).column("photo_id").to_pylist()


def prepare(index, model="second", **options):
    """Complete the next generation; returns the names of the photos that were embedded."""
    index = pathlib.Path(index)
    place = following.begin(index, CARDS[model])
    present = following.open_present(index)
    names = reembed(place, present, model, **options)
    following.prepare(index, present)
    return names


def exchange(index, model="second", **options):
    """Complete the next generation and exchange the present one for it."""
    names = prepare(index, model, **options)
    with open_for_change(index) as change:
        names += reembed(change.target / "next", change.contents, model)
        following.change_over(change.target, change)
    return names


def assert_is(catalogue, photos, model):
    """A catalogue holds exactly these photos, embedded by this model, in this order."""
    assert catalogue.card == CARDS[model]
    assert list(catalogue.items) == [photo.item for photo in photos]
    assert [catalogue.thumbnail(row) for row in range(len(photos))] == [
        photo.thumbnail for photo in photos
    ]
    expected = embed(photos, model)
    np.testing.assert_array_equal(catalogue.embeddings, expected)
    if photos:
        (hits,) = catalogue.search(expected[:1], 3, CARDS[model])
        order = np.argsort(-(expected @ expected[0]), kind="stable")[:3]
        assert [hit.row for hit in hits] == order.tolist()
        assert [hit.item for hit in hits] == [photos[row].item for row in order]
