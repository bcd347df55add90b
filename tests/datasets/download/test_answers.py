"""Answers of hosts: photos, lies, silence, redirect loops, endless bodies."""

import gc
import gzip
import socket
import ssl

import aiohappyeyeballs
import pytest

from fashion_jax.datasets.download.store import ending_of
from tests.datasets.download.downloads import fetch, files, journal, outcome
from tests.datasets.download.hostile_server import (
    HostileServer,
    drop,
    endless,
    head,
    photo,
    raw,
    redirect,
    reply,
    reply_then_silence,
    silence,
)


@pytest.mark.parametrize(
    ("kind", "ending"),
    [
        ("JPEG", ".jpg"),
        ("PNG", ".png"),
        ("GIF", ".gif"),
        ("WEBP", ".webp"),
        ("BMP", ".bmp"),
        ("TIFF", ".tif"),
        ("AVIF", ".avif"),
        ("JPEG2000", ".jp2"),
        ("PPM", ".ppm"),
    ],
)
def test_the_ending_is_that_of_the_content(kind, ending):
    assert ending_of(photo(kind=kind)) == ending
    assert ending_of(b"<html>") == ""


def test_photos_are_written_as_they_were_sent(server, tmp_path):
    contents = [photo(1), photo(2, "PNG"), photo(3, "GIF")]
    links = [server.on(f"/{i}.jpg?a,b", reply(content)) for i, content in enumerate(contents)]
    report = fetch(tmp_path, links)
    assert files(tmp_path) == ["000000001.jpg", "000000002.png", "000000003.gif"]
    for name, content in zip(files(tmp_path), contents, strict=True):
        assert (tmp_path / "images" / name).read_bytes() == content
    assert (report.photos()["listed"], report.fetched, report.bytes) == (
        3,
        3,
        sum(map(len, contents)),
    )
    assert "user-agent: fashion-jax/" in server.requests[0].lower()
    assert {line["outcome"] for line in journal(tmp_path)} == {"fetched"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(b"<!DOCTYPE html><html>Not here</html>", Content_Type="image/jpeg"), "not_an_image"),
        (reply(b""), "empty"),
        (reply(status=204), "empty"),
        (reply(photo()[:300]), "truncated"),
        (reply(status=404), "http_404"),
        (reply(status=410), "http_410"),
        (reply(status=403), "http_403"),
        (reply(status=302), "http_302"),  # without a place to go to
        (reply(status=304), "http_304"),
        (reply(b"x" * 200_001), "too_large"),
        (raw(head(200, {"Content-Length": 10**15})), "too_large"),
        (redirect("ftp://a.com/1.jpg"), "bad_redirect"),
        (redirect("/1.jpg"), "redirect_loop"),
    ],
)
def test_failures_for_good(server, tmp_path, answer, reason):
    line = outcome(server, tmp_path, answer)
    assert (line["reason"], line["permanent"], line["attempts"]) == (reason, True, 1)
    assert server.asked["/1.jpg"] == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drop, "connection_dropped"),
        (raw(b""), "connection_dropped"),
        (raw(head(200, {"Content-Length": 100_000}) + photo()), "connection_dropped"),
        (raw(head(200, {"Transfer-Encoding": "chunked"}) + b"5\r\nab"), "connection_dropped"),
        (raw(head(200, {}) + photo()[:300]), "truncated"),  # the end of it was not announced
        (raw(head(200, {})), "empty"),
        (reply(status=500), "http_500"),
        (reply(status=503), "http_503"),
        (reply(status=429), "http_429"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad_answer"),
        (raw(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000 + b"\r\n\r\n"), "bad_answer"),
    ],
)
def test_failures_that_may_pass(server, tmp_path, answer, reason):
    line = outcome(server, tmp_path, answer)
    assert (line["reason"], line["permanent"], line["attempts"]) == (reason, False, 3)
    assert server.asked["/1.jpg"] == 3


@pytest.mark.parametrize(
    ("answer", "timeout", "total_timeouts"),
    [
        (silence, 0.15, 1e6),
        (reply_then_silence, 0.15, 1e6),
        (endless(pause=0.02), 30.0, 0.01),  # never silent for long
    ],
)
def test_silent_and_trickling_servers_are_cut_off(
    server, tmp_path, answer, timeout, total_timeouts
):
    patience = {"timeout": timeout, "total_timeouts": total_timeouts}
    line = outcome(server, tmp_path, answer, retries=1, **patience)
    assert (line["reason"], line["permanent"], line["attempts"]) == ("timeout", False, 2)


def test_a_body_longer_than_announced(server, tmp_path):
    line = outcome(server, tmp_path, raw(head(200, {"Content-Length": 10}) + photo()))
    assert line["reason"] in ("truncated", "bad_answer")  # whether the rest came in time


def test_compressed_answers(server, tmp_path):
    packed = reply(gzip.compress(photo()), Content_Encoding="gzip")
    assert outcome(server, tmp_path, packed)["file"] == "000000001.jpg"
    assert (tmp_path / "images" / "000000001.jpg").read_bytes() == photo()


def test_a_small_body_that_unpacks_to_a_large_one(server, tmp_path):
    bomb = reply(gzip.compress(bytes(10**7)), Content_Encoding="gzip")
    assert outcome(server, tmp_path, bomb)["reason"] == "too_large"


def test_an_endless_body_is_cut_off(server, tmp_path):
    line = outcome(server, tmp_path, endless())
    assert (line["reason"], line["attempts"]) == ("too_large", 1)
    assert line["detail"] == "more than 200,000 bytes"


@pytest.mark.slow
@pytest.mark.parametrize(
    "answers",
    [
        [reply(status=503), reply(photo())],
        [drop, reply(photo())],
        [reply(status=429, Retry_After=0), reply(photo())],
        [reply(status=503, Retry_After=1), reply(photo())],
        [raw(head(200, {}) + photo()[:300]), raw(head(200, {}) + photo())],
        [raw(head(200, {"Content-Length": 9000}) + photo()), reply(photo())],
    ],
)
def test_a_failure_that_passes(server, tmp_path, answers):
    line = outcome(server, tmp_path, *answers)
    assert (line["outcome"], line["attempts"], line["file"]) == ("fetched", 2, "000000001.jpg")


def test_redirects_are_followed(server, tmp_path):
    server.on("/3.png?a=b", reply(photo(1, "PNG")))
    server.on("/2", redirect(server.url("/3.png?a=b"), status=301))
    line = outcome(server, tmp_path, redirect("/2", status=308))
    assert line["file"] == "000000001.png"
    assert line["redirected_to"] == server.url("/3.png?a=b")
    assert line["attempts"] == 1


def test_redirects_in_a_circle(server, tmp_path):
    server.on("/2", redirect("/1.jpg"))
    assert outcome(server, tmp_path, redirect("/2"))["reason"] == "redirect_loop"
    assert server.asked == {"/1.jpg": 1, "/2": 1}


def test_redirects_without_an_end(server, tmp_path):
    for i in range(20):
        server.on(f"/{i}", redirect(f"/{i + 1}"))
    line = outcome(server, tmp_path, redirect("/0"), max_redirects=5)
    assert (line["reason"], line["permanent"]) == ("too_many_redirects", True)
    assert server.asked.total() == 6


def test_unreachable_hosts(server, tmp_path, monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with HostileServer() as ended:
        link = ended.url("/1")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    report = fetch(tmp_path, [link, "http://no-such-host.example/1"], retries=0)
    assert dict(report.failed) == {"connection_failed": 1, "host_not_found": 1}


def test_a_certificate_that_cannot_be_verified(tmp_path, monkeypatch):
    def untrusted(*args, **kwargs):
        raise ssl.SSLCertVerificationError(1, "certificate has expired")

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", untrusted)
    report = fetch(tmp_path, ["https://127.0.0.1/1"])
    assert dict(report.failed) == {"bad_certificate": 1}
    assert report.permanent == {"bad_certificate"}


def test_a_run_leaves_nothing_open(server, tmp_path):
    """Warnings about sockets or tasks that were left behind are errors in these tests."""
    links = [server.on("/1", silence), server.on("/2", drop), server.on("/3", endless())]
    assert fetch(tmp_path, links, timeout=0.15, retries=0).failed.total() == 3
    gc.collect()
