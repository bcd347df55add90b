"""A shop of plain colours, its model, and a client of its server."""

import dataclasses
import io
import types

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from fashion_jax.config import ImageConfig
from fashion_jax.datasets.loader import resize
from fashion_jax.retrieval.catalogue import Catalogue, Item, ItemTable
from fashion_jax.serving.server import service as service_module
from fashion_jax.serving.server.server import make_app
from fashion_jax.serving.server.service import SearchService
from tests.inference import cards
from tests.retrieval.unit_vectors import unit

TOKEN = "a-token"
COLOURS = {
    "red": (200, 30, 40),
    "orange": (230, 120, 30),
    "blue": (30, 60, 200),
    "navy": (20, 30, 110),
    "green": (30, 160, 60),
    "lime": (120, 220, 60),
}


class ColourModel:
    """Embeds a photo as the colours of its four quarters.

    Attributes:
        sizes: sizes of the batches so far.
    """

    card = dataclasses.replace(cards.CARD, embedding_width=12)
    config = types.SimpleNamespace(image=ImageConfig(16, 16))

    def __init__(self):
        self.sizes = []

    def embed_images(self, images, batch_size):
        self.sizes.append(batch_size)
        assert len(images) <= batch_size
        quarters = images.reshape(len(images), 2, 8, 2, 8, 3).mean(axis=(2, 4))
        return unit(quarters.reshape(len(images), 12).astype(np.float32) - 127.3)

    def embed(self, photos):
        return self.embed_images(np.stack([resize(p, self.config.image) for p in photos]), 64)


def jpeg(colour, size=(48, 64), kind="JPEG", **options):
    """A photo of one colour, by name or as RGB."""
    buffer = io.BytesIO()
    colour = COLOURS.get(colour, colour)
    Image.new("RGB", size, colour).save(buffer, kind, **options)
    return buffer.getvalue()


def shop_items():
    """Two photos of each product, and what is known of them."""
    return [
        Item(
            f"{name}/{view}.jpg",
            f"0{number}",
            "tops" if number < 4 else "hats",
            "shop",
            {"price": 10.0 * number + 9.5, "colour": name, "sale": number % 2 == 0},
        )
        for number, name in enumerate(COLOURS)
        for view in range(2)
    ]


def write_shop(folder, model, items=None, origins=None):
    """Write the shop's catalogue; its photos' places are unknown unless they are given."""
    items = shop_items() if items is None else items
    shots = [np.full((16, 16, 3), COLOURS[i.photo_id.split("/")[0]], np.uint8) for i in items]
    for row, shot in enumerate(shots):
        shot[: 1 + row % 2] //= 2  # views differ
    thumbnails = [jpeg(tuple(shot[8, 8].tolist())) for shot in shots]
    table = ItemTable.of(items, origins)
    return Catalogue.write(folder, model.embed(shots), table, thumbnails, model.card, "exact")


@pytest.fixture
def model(monkeypatch):
    model = ColourModel()
    monkeypatch.setattr(service_module, "load_model", lambda workdir: model)
    return model


@pytest.fixture
def folder(tmp_path, model):
    write_shop(tmp_path / "index", model)
    return tmp_path / "index"


@pytest.fixture
def service(folder):
    service = SearchService({"shop": folder}, "a run")
    yield service
    service.close()


def client_of(service, token="", **options):
    """A client of an application of its own."""
    app = make_app(service, token=TOKEN, **options)
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return TestClient(app, base_url="http://127.0.0.1", headers=headers)


@pytest.fixture
def client(service, tmp_path):
    with client_of(service, marks=tmp_path / "marks.csv") as client:
        yield client
