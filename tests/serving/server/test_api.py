"""The HTTP API: its answers, and what it says to wrong requests."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from fashion_jax.datasets.duplicates.decisions import Decision, read_decisions
from fashion_jax.serving.server.service import SearchService
from tests.serving.server.conftest import TOKEN, client_of, jpeg, shop_items, write_shop


def search(client, *photos, **fields):
    files = [("photo", ("p", photo)) for photo in photos]
    parts = [
        (name, (None, str(value)))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return client.post("/api/search", files=[*files, *parts])


def names(answer):
    assert answer.status_code == 200, answer.text
    return [each.get("product") or each.get("photo_id") for each in answer.json()["answers"]]


def error(answer):
    found = answer.json()
    assert set(found) == {"error"}
    return answer.status_code, found["error"]["type"]


def test_a_photo_finds_its_product(client):
    answer = search(client, jpeg("red"), k=2)
    assert names(answer) == ["00", "01"]
    first = answer.json()["answers"][0]
    assert first["fields"] == {"price": 9.5, "colour": "red", "sale": True}
    assert first["count"] == len(first["photos"]) == 2
    assert first["score"] == first["photos"][0]["score"] > 0.95
    assert answer.json()["catalogue"] == "shop"


def test_a_box_chooses_the_garment(client):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = (200, 30, 40), (30, 60, 200)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    for box, product in [("0,0,40,40", "00"), ("0.5,0,0.5,1", "02"), ("40,0,40,40", "02")]:
        assert names(search(client, buffer.getvalue(), box=box, k=1)) == [product]


def test_json_and_forms_say_the_same(client):
    where = {"field": "price", "operator": "<", "value": 35}
    body = {"photos": [base64.b64encode(jpeg("blue")).decode()], "k": 3, "where": [where]}
    first = client.post("/api/search", json=body)
    second = search(client, jpeg("blue"), k=3, where=["price<35"])
    assert names(first) == names(second)
    assert names(first)[0] == "02"
    assert set(names(first)) == {"00", "01", "02"}
    assert first.json()["matches"] == second.json()["matches"] == 6


def test_conditions_and_groups(client):
    where = ["colour in blue,navy", "price>=30"]
    assert names(search(client, jpeg("red"), where=where)) == ["03"]
    answer = search(client, jpeg("red"), by="colour", k=1).json()["answers"][0]
    assert answer["group"] == "red"
    assert len(names(search(client, jpeg("red"), by="photo", k=50))) == 12
    said = search(client, jpeg("red"), where=["colour=rad"]).json()
    assert said["answers"] == []
    assert said["notes"] == ["no photo has the colour 'rad'; did you mean 'red'?"]


def test_more_like_this_leaves_itself_out(client):
    answer = client.get("/api/similar/00", params={"k": 2})
    assert names(answer)[0] == "01"
    by_photo = client.get("/api/similar/photo:red/0.jpg", params={"k": 1, "by": "photo"})
    assert by_photo.json()["answers"][0]["photo_id"] == "red/1.jpg"
    body = {"like": ["02"], "dislike": ["03"], "k": 1}
    assert "03" not in names(client.post("/api/search", json=body))


def test_a_product_with_its_photos(client):
    answer = client.get("/api/products/03").json()
    assert answer["product"] == "03"
    assert [photo["photo_id"] for photo in answer["photos"]] == ["navy/0.jpg", "navy/1.jpg"]
    assert client.get("/api/products/navy/1.jpg").json()["photos"][0]["product"] == "03"


def test_embeddings(client, model):
    photos = [jpeg("red"), jpeg("blue", (7, 90))]
    body = {"photos": [base64.b64encode(photo).decode() for photo in photos]}
    answer = client.post("/api/embed", json=body).json()
    found = np.array(answer["embeddings"])
    assert found.shape == (2, 12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    assert answer["model"] == model.card.weights_hash[:12]


def test_catalogues_and_health(client):
    (found,) = client.get("/api/catalogues").json()["catalogues"]
    assert (found["name"], found["photos"], found["problem"]) == ("shop", 12, "")
    assert found["fields"] == {"price": "number", "colour": "text", "sale": "boolean"}
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").json() == {"status": "ready", "problems": {}}
    client.get("/api/products/03")
    text = client.get("/metrics").text
    assert 'fashion_jax_requests_total{path="/api/products/{name:path}",status="200"} 1.0' in text
    assert 'fashion_jax_photos{catalogue="shop"} 12.0' in text


@pytest.mark.parametrize(
    ("photo", "kind"),
    [
        (b"", "photo_empty"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "photo_unsupported_format"),
        (b"<html><script>alert(1)</script>", "photo_not_an_image"),
        (jpeg("red")[:200], "photo_truncated"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo_unsupported_format"),
    ],
    ids=["empty", "SVG", "a page", "cut off", "HEIC"],
)
def test_photos_that_cannot_be_used(client, photo, kind):
    assert error(search(client, photo)) == (422, kind)


def test_a_photo_of_too_many_pixels(client):
    buffer = io.BytesIO()
    Image.new("1", (10_000, 6_000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 20_000
    assert error(search(client, buffer.getvalue())) == (422, "photo_too_large")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_formats(client, kind):
    assert names(search(client, jpeg("green", kind=kind), k=1)) == ["04"]


def test_exif_rotation_counts(client):
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = (200, 30, 40), (30, 60, 200)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned clockwise for display: left becomes top
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif, quality=95)
    assert names(search(client, buffer.getvalue(), box="0,0,40,40", k=1)) == ["00"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (422, "invalid_request")),
        ({"k": 0, "like": "00"}, (422, "invalid_request")),
        ({"k": "many", "like": "00"}, (422, "invalid_request")),
        ({"like": "77"}, (404, "unknown_product")),
        ({"like": "00", "where": "prize<5"}, (422, "condition")),
        ({"like": "00", "by": "colur"}, (422, "invalid_request")),
        ({"like": "00", "box": "1,2,3,4"}, (422, "invalid_request")),
        ({"like": "00", "catalogue": "shep"}, (404, "unknown_catalogue")),
        ({"like": "00", "colour": "red"}, (422, "invalid_request")),
        ({"like": "00", "photos": "x"}, (422, "invalid_request")),
    ],
    ids=str,
)
def test_wrong_requests_are_explained(client, fields, expected):
    # A form needs two parts.
    assert error(search(client, **({"by": "product"} | fields))) == expected


def test_a_box_outside_the_photo(client):
    answer = search(client, jpeg("red"), box="100,100,5,5")
    assert error(answer) == (422, "invalid_request")
    assert "has 48×64 pixels" in answer.json()["error"]["message"]
    assert error(search(client, jpeg("red"), jpeg("red"), box="0,0,9,9")) == (
        422,
        "invalid_request",
    )


def test_bodies_that_are_no_requests(client):
    post = client.post
    assert error(post("/api/search", content=b"x")) == (415, "media_type")
    headers = {"content-type": "application/json"}
    assert error(post("/api/search", content=b"{", headers=headers)) == (422, "invalid_request")
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert error(post("/api/search", content=b"--y", headers=headers))[0] in (400, 422)
    headers = {"content-type": "multipart/form-data"}
    assert error(post("/api/search", content=b"x", headers=headers)) == (400, "invalid_request")
    assert error(client.get("/api/nothing")) == (404, "not_found")
    assert error(client.get("/api/search")) == (405, "method")


def test_marks_are_pairs_that_evaluation_reads(client, tmp_path):
    mark = {"first": "red/0.jpg", "second": "navy/0.jpg", "decision": "different"}
    assert error(client.post("/api/marks", json=mark)) == (401, "token")
    assert not (tmp_path / "marks.csv").exists()
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/api/marks", json=mark, headers=headers).json() == {"marks": 1}
    changed = mark | {"decision": "same", "comment": '=1+1,"x"'}
    assert client.post("/api/marks", json=changed, headers=headers).json() == {"marks": 1}
    (kept,) = read_decisions([tmp_path / "marks.csv"])
    assert kept == Decision("red/0.jpg", "navy/0.jpg", "same", '=1+1,"x"')
    by_name = mark | {"first": "product:00", "second": "photo:blue/1.jpg", "catalogue": "shop"}
    assert client.post("/api/marks", json=by_name, headers=headers).json() == {"marks": 2}
    kept = read_decisions([tmp_path / "marks.csv"])[1]
    assert kept == Decision("red/0.jpg", "blue/1.jpg", "different")
    unknown = client.post("/api/marks", json=mark | {"first": "product:x"}, headers=headers)
    assert error(unknown) == (404, "unknown_product")
    itself = mark | {"second": "red/0.jpg"}
    answer = client.post("/api/marks", json=itself, headers=headers)
    assert error(answer) == (422, "invalid_request")


def test_marks_are_refused_where_none_are_kept(service):
    with client_of(service, TOKEN) as client:
        mark = {"first": "a", "second": "b", "decision": "same"}
        assert error(client.post("/api/marks", json=mark)) == (403, "marks")


def test_a_server_without_a_model_searches_by_product(folder):
    service = SearchService({"shop": folder})
    with client_of(service) as client:
        assert names(client.get("/api/similar/00", params={"k": 1})) == ["01"]
        assert error(search(client, jpeg("red"))) == (409, "no_model")
        photo = base64.b64encode(jpeg("red")).decode()
        assert error(client.post("/api/embed", json={"photos": [photo]})) == (409, "no_model")
        assert 'data-model="no"' in client.get("/").text


def test_several_catalogues(tmp_path, model, folder):
    write_shop(tmp_path / "sale", model, shop_items()[:4])
    service = SearchService({"all": folder, "sale": tmp_path / "sale"}, "a run")
    with client_of(service) as client:
        assert len(names(search(client, jpeg("red"), k=50))) == 6
        assert len(names(search(client, jpeg("red"), k=50, catalogue="sale"))) == 2
        assert "<option selected>sale</option>" in client.get("/?catalogue=sale").text


def test_every_route_is_described(client):
    described = client.get("/api/openapi.json").json()
    assert set(described["paths"]) == {
        "/api/search",
        "/api/products/{name}",
        "/api/similar/{name}",
        "/api/embed",
        "/api/catalogues",
        "/api/marks",
        "/api/reload",
    }
    body = described["paths"]["/api/search"]["post"]["requestBody"]["content"]
    assert set(body) == {"multipart/form-data", "application/json"}
    assert "SearchBody" in described["components"]["schemas"]
