"""Checks in front of the API: host, origin, token, size, time, and number of requests."""

import asyncio

import pytest

from fashion_jax.serving.server.guard import Guard
from tests.serving.server.conftest import TOKEN, client_of, jpeg


def kind(answer):
    return answer.status_code, answer.json()["error"]["type"]


async def app(scope, receive, send):
    """Reads the body, and answers after a while if the path says so."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    if scope["path"] == "/slow":
        await asyncio.sleep(30)
    if scope["path"] == "/waits":
        await scope["state"]["go"].wait()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


def ask(guard, path="/", headers=(), body=(b"",), state=None):
    """The status and headers of an answer."""

    async def run():
        chunks = list(body)
        sent = []

        async def receive():
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

        async def send(message):
            sent.append(message)

        given = [(b"host", b"127.0.0.1:8000"), *headers]
        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "headers": given,
            "query_string": b"",
            "state": state,
        }
        await guard(scope, receive, send)
        return sent

    return run()


def answer_of(sent):
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m["body"] for m in sent[1:])


def guarded(**options):
    defaults = {"max_bytes": 100, "max_requests": 2, "timeout_s": 5.0}
    return Guard(app, **(defaults | options))


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost.", "[::2]"]
)
def test_other_hosts_are_refused(client, host):
    assert kind(client.get("/healthz", headers={"host": host})) == (421, "host")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8000", "127.0.0.1", "[::1]:8000"])
def test_the_loopback_is_answered(client, host):
    assert client.get("/healthz", headers={"host": host}).status_code == 200


def test_hosts_that_are_allowed(service):
    with client_of(service, hosts=["shop.example"]) as client:
        assert client.get("/healthz", headers={"host": "shop.example:443"}).status_code == 200
        assert kind(client.get("/healthz", headers={"host": "sub.shop.example"})) == (421, "host")


def test_other_sites_may_not_post(client):
    for origin in ("http://evil.example", "null", "http://127.0.0.1:9"):
        headers = {"origin": origin, "host": "127.0.0.1:8000"}
        answer = client.post("/api/search", json={"like": ["00"]}, headers=headers)
        assert kind(answer) == (403, "origin")
    own = {"origin": "http://127.0.0.1:8000", "host": "127.0.0.1:8000"}
    assert client.post("/api/search", json={"like": ["00"]}, headers=own).status_code == 200


def test_a_token_for_reading(service):
    with client_of(service, read_token="secret") as client:
        assert kind(client.get("/api/catalogues")) == (401, "token")
        assert client.get("/healthz").status_code == 200
        for given in ("Bearer secret", "bearer  secret", f"Bearer {TOKEN}"):
            headers = {"authorization": given}
            assert client.get("/api/catalogues", headers=headers).status_code == 200
        for given in ("Bearer secrets", "Basic secret", "secret"):
            headers = {"authorization": given}
            assert kind(client.get("/api/catalogues", headers=headers)) == (401, "token")
        for path in ("/", "/metrics", "/photos/shop/0?id=red/0.jpg"):
            assert kind(client.get(path)) == (401, "token")


def test_writing_needs_the_token(client):
    assert kind(client.post("/api/reload")) == (401, "token")
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert client.post("/api/reload", headers=headers).status_code == 200


def test_large_bodies_are_refused_before_they_are_read(service):
    with client_of(service, max_bytes=5000) as client:
        files = [("photo", ("p", jpeg("red") + bytes(6000)))]
        assert kind(client.post("/api/search", files=files)) == (413, "too_large")
        many = iter([b"x" * 1000] * 10)  # its length is not announced
        headers = {"content-type": "application/json"}
        answer = client.post("/api/search", content=many, headers=headers)
        assert kind(answer) == (413, "too_large")
        assert kind(client.post("/api/search", headers={"content-length": "-1"})) == (
            400,
            "invalid_request",
        )


def test_what_streams_past_the_limit_is_refused():
    sent = asyncio.run(ask(guarded(), body=[b"x" * 60, b"x" * 60]))
    assert answer_of(sent)[0] == 413


def test_slow_requests_end():
    status, headers, _ = answer_of(asyncio.run(ask(guarded(timeout_s=0.05), "/slow")))
    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_too_many_requests_are_told_to_come_back_and_it_recovers():
    guard = guarded()

    async def run():
        state = {"go": asyncio.Event()}
        waiting = [asyncio.create_task(ask(guard, "/waits", state=state)) for _ in range(2)]
        await asyncio.sleep(0)
        status, headers, body = answer_of(await ask(guard))
        assert (status, headers[b"retry-after"]) == (503, b"1")
        assert b"come back" in body
        assert answer_of(await ask(guard, "/healthz"))[0] == 200  # health is always told
        state["go"].set()
        assert [answer_of(sent)[0] for sent in await asyncio.gather(*waiting)] == [200, 200]
        assert answer_of(await ask(guard))[0] == 200

    asyncio.run(run())
    assert guard.running == 0


def test_every_answer_carries_the_security_headers(client):
    for answer in (client.get("/"), client.get("/healthz"), client.get("/none")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors" in answer.headers["content-security-policy"]
