"""The page's HTML: what it shows, and that names stay text."""

import hashlib
import io
import re

import numpy as np
import pytest
from PIL import Image

from fashion_jax.datasets.boxes import Box
from fashion_jax.retrieval.catalogue import Catalogue, Item, Origin
from fashion_jax.serving.server.facets import Facet, find_facets
from fashion_jax.serving.server.service import SearchService
from tests.serving.server.conftest import TOKEN, client_of, jpeg, shop_items, write_shop

NASTY = "<script>alert('x')</script>\"&"


def results(client, **fields):
    parts = [(name, (None, value)) for name, value in fields.items()]
    return client.post("/results", files=[("photo", ("p", jpeg("red"))), *parts])


def titles(html):
    return re.findall(r'class="card" data-name="([^"]+)"', html)


def test_the_page_offers_a_photo_filters_and_samples(client):
    html = client.get("/").text
    assert "Choose a photo" in html
    assert "12 photos" in html
    assert re.findall(r'data-field="(\w+)" data-kind="(\w+)"', html) == [
        ("category", "choices"),
        ("price", "number"),
        ("colour", "choices"),
        ("sale", "boolean"),
    ]
    assert 'placeholder="9.5"' in html
    assert html.count('loading="lazy"') >= 6
    assert "data-act" not in html


def test_a_link_opens_a_search_by_product(client):
    html = client.get("/?like=product:00&where=colour%20in%20orange,blue").text
    assert titles(html) == ["product:01", "product:02"]
    assert "4 of 12 photos pass the filters" in html
    assert '"like": ["product:00"]' in html


def test_results_are_a_part_of_the_page(client):
    answer = results(client, k="2")
    assert titles(answer.text) == ["product:00", "product:01"]
    assert "<html" not in answer.text
    assert "9.50" in answer.text
    wrong = results(client, where="prize<5")
    assert wrong.status_code == 422
    assert "no field &#39;prize&#39;" in wrong.text


def test_nothing_found_is_said(client):
    assert "Nothing passes these filters" in results(client, where="price>1000").text


@pytest.mark.parametrize("query", ["like=77", "like=00&by=xyz", "like=00&where=%3D", "catalogue=x"])
def test_a_wrong_link_is_explained_on_the_page(client, query):
    answer = client.get(f"/?{query}")
    assert answer.status_code in (404, 422)
    assert 'role="alert"' in answer.text
    assert "Choose a photo" in answer.text


def test_photos_are_found_by_their_ids(client):
    (address,) = re.findall(r'src="(photos/[^"]+)"', results(client, k="1").text)[:1]
    answer = client.get(address.replace("&amp;", "&"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:3] == b"\xff\xd8\xff"
    moved = client.get("/photos/shop/11?id=red/0.jpg")
    assert moved.content == client.get("/photos/shop/0?id=red/0.jpg").content
    assert client.get("/photos/shop/0?id=none.jpg").status_code == 404
    assert client.get("/photos/other/0?id=red/0.jpg").status_code == 404
    assert client.get("/static/../server.py").status_code == 404


def test_a_photo_is_looked_at_closely_where_it_still_lies(client, service, folder, model, tmp_path):
    path = tmp_path / "red.jpg"
    path.write_bytes(jpeg("red", (1500, 900)))
    small = "/photos/shop/0?id=red/0.jpg"

    def side(large=""):
        service.refresh()
        answer = client.get(f"{small}{large}")
        assert answer.headers["content-type"] == "image/jpeg"
        return Image.open(io.BytesIO(answer.content)).size

    assert side("&large=1") == side()  # nobody knows where the photo lies
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for box, size in [(None, (1024, 614)), (Box(0, 0, 750, 900), (750, 900))]:
        origin = Origin(str(path), box, sha256=sha256)
        write_shop(folder, model, shop_items()[:1], [origin])
        assert side("&large=1") == size
    path.write_bytes(jpeg("blue", (1500, 900)))  # another photo under its name
    assert side("&large=1") == side()
    path.unlink()
    assert side("&large=1") == side()


def test_names_are_text_and_never_html(tmp_path, model):
    fields = {"name": NASTY, "colour": NASTY, "link": "javascript:alert(1)", NASTY: "x"}
    items = [
        Item(f"{colour}/{NASTY}.jpg", NASTY + colour, NASTY, "shop", {**fields, "size": colour})
        for colour in ("red", "blue")
    ]
    write_shop(tmp_path / NASTY, model, items)
    service = SearchService({NASTY: tmp_path / NASTY}, "a run")
    with client_of(service) as client:
        for html in (
            client.get("/").text,
            results(client).text,
            client.get("/?like=" + NASTY).text,
        ):
            assert "<script>alert" not in html
            assert "javascript:" not in html.replace("javascript: ", "")
        assert len(titles(results(client).text)) == 2


def test_the_token_moves_into_a_cookie(client):
    answer = client.get(f"/?token={TOKEN}&like=00", follow_redirects=False)
    assert answer.status_code == 307
    assert answer.headers["location"] == "/?like=00"
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert 'data-act="wrong"' in results(client).text
    client.cookies.clear()
    assert 'data-act="wrong"' not in results(client).text


def test_nothing_is_loaded_from_elsewhere(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; img-src 'self'")
    for text in (answer.text, client.get("/static/style.css").text):
        assert not re.search(r"(src|href)=\"(https?:)?//", text)
        assert "url(http" not in text
    assert " style=" not in answer.text
    assert " onclick=" not in answer.text


def test_facets_of_all_types(model, tmp_path):
    opened = write_shop(tmp_path / "index", model)
    found = {facet.field: facet for facet in find_facets(opened.items)}
    assert found["category"] == Facet("category", "choices", [("tops", 8), ("hats", 4)])
    assert (found["price"].least, found["price"].most) == (9.5, 59.5)
    assert len(found["colour"].choices) == 6
    assert found["sale"].kind == "boolean"


def test_facets_need_a_choice(tmp_path, model):
    items = [
        Item(f"red/{n}.jpg", str(n), "tops", "shop", {"n": 1.0, "text": str(n), "no": True})
        for n in range(30)
    ]
    opened = write_shop(tmp_path / "index", model, items)
    assert find_facets(opened.items) == []
    assert isinstance(opened, Catalogue)
    assert np.asarray(opened.embeddings).shape == (30, 12)


def test_samples_of_an_index_that_changes(client, service, folder, model):
    write_shop(folder, model, shop_items()[:2])
    service.refresh()
    assert client.get("/").text.count("<li><a") == 1


@pytest.mark.parametrize("prefix", ["", "/search"], ids=["stripped by the proxy", "kept by it"])
def test_behind_a_proxy_with_a_prefix(service, prefix):
    with client_of(service, root_path="/search") as client:
        assert client.get(f"{prefix}/api/catalogues").status_code == 200
        page = client.get(f"{prefix}/").text
        # Every address on the page is relative, so that the browser stays below the prefix.
        assert re.findall(r'(?:href|src|action)="(?:/|https?:)', page) == []
        moved = client.get(f"{prefix}/?token=a-token&like=00", follow_redirects=False)
        assert moved.headers["location"] == "/search/?like=00"
        assert "path=/search" in moved.headers["set-cookie"].lower()
        described = client.get(f"{prefix}/api/openapi.json").json()
        assert described["servers"] == [{"url": "/search"}]
