"""Changes of catalogues by others are taken up; what cannot be is announced, and answers go on."""

import dataclasses
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from fashion_jax.inference.card import ModelCardError
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.retrieval.catalogue import Catalogue
from fashion_jax.retrieval.catalogue.changes import remove_photos
from fashion_jax.serving import reembed
from fashion_jax.serving.server import service as service_module
from fashion_jax.serving.server.service import SearchService
from fashion_jax.serving.update_index import update_index
from tests.serving.server.conftest import (
    COLOURS,
    ColourModel,
    client_of,
    jpeg,
    shop_items,
    write_shop,
)


def photos(service):
    return len(service.catalogue().current)


def test_changes_are_taken_up(service, folder, tmp_path):
    before = service.catalogue().current
    assert not service.catalogue().refresh()
    remove_photos(folder, ["red/0.jpg"])
    assert service.catalogue().refresh()
    assert photos(service) == 11
    assert len(before) == 12  # requests that hold the older state finish in it
    (tmp_path / "prices.csv").write_text("product,price\n00,1\n")
    update_index(folder, tmp_path / "prices.csv")
    service.refresh()
    assert service.product("00")[0].fields["price"] == 1


def test_what_has_not_changed_is_not_read_again(service, folder, tmp_path):
    before = service.catalogue().current
    (tmp_path / "prices.csv").write_text("product,price\n00,1\n")
    update_index(folder, tmp_path / "prices.csv")
    service.refresh()
    after = service.catalogue().current
    assert after is not before
    assert after.segments[0].embeddings is before.segments[0].embeddings
    assert after.segments[0].thumbnails is before.segments[0].thumbnails
    assert after.segments[0].items is not before.segments[0].items


def test_another_models_catalogue_is_announced_and_taken_up_on_request(service, folder, model):
    other = ColourModel()
    other.card = dataclasses.replace(model.card, weights_hash="other")
    write_shop(folder, other, shop_items()[:6])
    service.refresh()
    assert "weights_hash" in service.catalogue().problem
    assert photos(service) == 12
    with client_of(service, token="a-token") as client:
        assert "older state" in client.get("/").text
        assert "weights_hash" in client.get("/readyz").json()["problems"]["shop"]
        # The run has not changed: reloading is refused, and answers go on.
        refused = client.post("/api/reload")
        assert (refused.status_code, refused.json()["error"]["type"]) == (409, "other_model")
        assert client.get("/api/similar/00").status_code == 200
        model.card = other.card
        (found,) = client.post("/api/reload").json()["catalogues"]
        assert (found["photos"], found["problem"]) == (6, "")


def test_a_catalogue_that_is_gone_for_a_while(service, folder):
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    service.refresh()
    assert service.catalogue().problem
    assert photos(service) == 12
    (folder / "manifest.json").write_bytes(manifest)
    service.refresh()
    assert service.catalogue().problem == ""


def test_a_catalogue_of_another_model_is_refused_at_the_start(folder, model):
    model.card = dataclasses.replace(model.card, weights_hash="other")
    with pytest.raises(ModelCardError):
        SearchService({"shop": folder}, "a run")


def test_searches_go_on_through_changes(service, folder, tmp_path):
    """Every answer is whole: of the state before a change, or after it."""
    stop, wrong, answered = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                found, opened = service.search(like=["02"], k=50)
                prices = {group.fields["price"] for group in found.answers}
                answered.append((len(opened), len(prices)))
                if len(found.answers) != 5:
                    wrong.append(found)
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    list_ = tmp_path / "prices.csv"
    for number in range(15):
        rows = "".join(f"0{product},{number}\n" for product in range(6))
        list_.write_text("product,price\n" + rows)
        update_index(folder, list_)
        service.refresh()
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert {prices for _, prices in answered} <= {1, 5}
    assert len(answered) > 20


def write_photos(folder):
    """The files of the shop's photos."""
    for item in shop_items():
        path = folder / item.photo_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jpeg(item.fields["colour"]))
    return folder


def search_each_colour(service, models, wrong):
    """Search with a photo of each product; keep the models that answer, and what is not right."""
    for number, name in enumerate(COLOURS):
        photo = np.asarray(Image.open(io.BytesIO(jpeg(name))))
        try:
            found, opened = service.search([photo], k=50)
        except Exception as error:
            wrong.append(error)
            continue
        models.add(opened.card.weights_hash)
        if len(found.answers) != 6 or found.answers[0].name != f"0{number}":
            wrong.append((number, [each.name for each in found.answers]))


def test_searches_go_on_through_reembed(service, folder, model, monkeypatch, tmp_path):
    """Each answer is whole, and of one model: the older until the newer is asked for."""
    photos, newer = write_photos(tmp_path / "photos"), NewerModel()
    monkeypatch.setattr(reembed, "load_model", lambda workdir: newer)
    stop, wrong, models = threading.Event(), [], set()

    def ask():
        while not stop.is_set():
            search_each_colour(service, models, wrong)

    def reembed_and_refresh(**options):
        state = reembed.reembed_index("newer run", folder, photos, **options).state
        service.refresh()
        return state

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert reembed_and_refresh(prepare=True) == "prepared"
    assert service.catalogue().problem == ""
    assert reembed_and_refresh() == "exchanged"
    assert service.catalogue().other_model
    time.sleep(0.1)
    assert models == {model.card.weights_hash}
    monkeypatch.setattr(service_module, "load_model", lambda workdir: newer)
    service.reload()
    while "newer" not in models and not wrong:
        time.sleep(0.01)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert service.catalogue().problem == ""


class NewerModel(ColourModel, EmbeddingModel):
    """Embeds colours in another order."""

    card = dataclasses.replace(ColourModel.card, weights_hash="newer")

    def embed_images(self, images, batch_size):
        return super().embed_images(images[..., ::-1], batch_size)

    def embed(self, photos, batch_size=64):
        found = [super(NewerModel, self).embed([photo])[0] for photo in photos]
        return np.array(found, np.float32).reshape(-1, 12)


def test_files_are_opened_once_for_an_unchanged_segment(folder):
    before = Catalogue.open(folder)
    after = Catalogue.open(folder, before)
    assert after.segments[0].items is before.segments[0].items
    np.testing.assert_array_equal(after.embeddings, before.embeddings)
