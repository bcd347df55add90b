"""A shop in tests: its photos, its list, and a model that needs no network."""

import numpy as np
import pytest

from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.serving import sync_index as module
from fashion_jax.serving.sync_index import sync_index
from tests.datasets.download.hostile_server import photo
from tests.retrieval.changing_catalogues import CARD
from tests.retrieval.unit_vectors import unit


class MeanColours:
    """Embeds a photo as its colours.

    Attributes:
        embedded: number of photos that were embedded.
    """

    card = CARD

    def __init__(self):
        self.embedded = 0

    def embed(self, photos):
        means = [np.resize(pixels.mean(axis=0), self.card.embedding_width) for pixels in photos]
        self.embedded += len(means)
        return unit(np.array(means, np.float32).reshape(-1, self.card.embedding_width) + 1)


class Shop:
    """A folder of photos, a list and an index.

    Attributes:
        folder: folder of everything.
        photos: folder of the photos.
        index: folder of the index.
        model: model of its run.
    """

    def __init__(self, folder, model):
        self.folder = folder
        self.photos = folder / "photos"
        self.index = folder / "index"
        self.model = model

    def take(self, name, number=0):
        """Take a photo: equal numbers give equal pixels."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number))
        return path

    def list(self, text):
        path = self.folder / "feed.csv"
        path.write_text(text)
        return path

    def sync(self, text, **options):
        given = {"photos": self.photos, "index": self.index, "progress": False} | options
        return sync_index(self.folder / "run", self.list(text), **given)

    @property
    def catalogue(self):
        return Catalogue.open(self.index)

    @property
    def items(self):
        return list(self.catalogue.items)

    @property
    def manifest(self):
        return (self.index / "manifest.json").read_bytes()


@pytest.fixture
def shop(tmp_path, monkeypatch):
    model = MeanColours()
    monkeypatch.setattr(module, "load_model", lambda workdir: model)
    return Shop(tmp_path, model)


def counts(result):
    return result.added, result.replaced, result.removed, result.changed, result.unchanged
