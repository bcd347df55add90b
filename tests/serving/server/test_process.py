"""A server in a process of its own: many clients, the client in Python, and its end."""

import contextlib
import http.client
import json
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import requests

from fashion_jax.errors import FashionJaxError
from fashion_jax.serving.client import Client, ClientError
from fashion_jax.serving.server import server as server_module
from fashion_jax.serving.update_index import update_index
from tests.serving.server.conftest import TOKEN, jpeg, shop_items, write_shop

ROOT = pathlib.Path(__file__).parents[3]


@contextlib.contextmanager
def serving(folder):
    """A server, and its address."""
    arguments = [sys.executable, "-u", "-m", "tests.serving.server.serving_process", str(folder)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        said = ""
        while not (found := re.search(r"page: (http://127.0.0.1:\d+/)", said)):
            line = process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        yield process, found[1]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ready(address):
    for _ in range(100):
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{address}readyz", timeout=5).ok:
                return
        time.sleep(0.05)
    raise AssertionError("the server does not answer")


@pytest.fixture
def running(service):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "SearchService", lambda catalogues, workdir: service)
        with server_module.serve("a run", port=0, block=False, token=TOKEN) as running:
            yield running


def test_the_client_has_the_words_of_the_package(running):
    client = Client(running.address, token="")
    where = ["colour in red,blue", {"field": "price", "operator": "<", "value": 20}]
    found = client.search(jpeg("red"), k=5, where=where)
    assert [each["product"] for each in found["answers"]] == ["00"]
    pixels = np.full((9, 9, 3), (30, 60, 200), np.uint8)
    assert client.search([pixels], k=1, box="0,0,5,5")["answers"][0]["product"] == "02"
    assert client.search(like=["00"], dislike=["01"], by="photo", k=1)["by"] == "photo"
    assert client.product("red/0.jpg")["product"] == "00"
    assert len(client.similar("00", k=2)["answers"]) == 2
    assert client.embed([jpeg("red"), pixels]).shape == (2, 12)
    assert client.catalogues()[0]["photos"] == 12


def test_the_client_tells_what_the_server_says(running):
    client = Client(running.address, token="")
    with pytest.raises(ClientError, match="no product and no photo 'x'") as error:
        client.product("x")
    assert (error.value.status, error.value.kind) == (404, "unknown_product")
    with pytest.raises(ClientError) as error:
        client.reload()
    assert (error.value.status, error.value.kind) == (401, "token")
    assert Client(running.address, token=TOKEN).reload()[0]["photos"] == 12
    with pytest.raises(ClientError, match="does not answer"):
        Client("http://127.0.0.1:9", timeout_s=1.0).catalogues()


def test_a_port_that_is_taken_is_named(running, folder):
    port = int(running.address.rstrip("/").rpartition(":")[2])
    with pytest.raises(FashionJaxError, match=f"127.0.0.1:{port} cannot be listened on"):
        server_module.serve(None, {"shop": folder}, port=port, block=False)


def ask_for(seconds, address, clients, photos):
    """Ask with so many clients; statuses, and answers that are not whole."""
    statuses, wrong, end = [], [], time.monotonic() + seconds

    def ask(number):
        session = requests.Session()
        while time.monotonic() < end:
            files = [("photo", ("p", photos[number % len(photos)])), ("k", (None, "50"))]
            answer = session.post(f"{address}api/search", files=files, timeout=20)
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1"
                time.sleep(0.02)
            elif len(answer.json()["answers"]) != 6:
                wrong.append(answer.text)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(clients)]
    for thread in threads:
        thread.start()
    return threads, statuses, wrong


def memory(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


@pytest.mark.slow
@pytest.mark.parametrize(
    "seconds", [3, pytest.param(120, marks=pytest.mark.exhaustive)], ids=["briefly", "two minutes"]
)
def test_fifty_clients_while_the_index_changes(folder, tmp_path, seconds):
    photos = [jpeg(colour) for colour in ("red", "blue", "green", "navy")]
    with serving(folder) as (process, address):
        ready(address)
        threads, statuses, wrong = ask_for(seconds, address, 50, photos)
        before, number = 0.0, 0
        while any(thread.is_alive() for thread in threads):
            number += 1
            (tmp_path / "prices.csv").write_text(f"product,price\n00,{number}\n")
            update_index(folder, tmp_path / "prices.csv")
            time.sleep(0.2)
            if number == 2:
                before = memory(process)
        for thread in threads:
            thread.join()
        assert wrong == []
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) > 20 * seconds
        assert memory(process) < before + 150  # MiB: no request leaves anything behind
        answer = requests.get(f"{address}api/products/00", timeout=5).json()
        assert answer["fields"]["price"] > 1


def test_sigterm_finishes_what_runs(folder):
    body = b'{"like": ["00"], "k": 50}'
    with serving(folder) as (process, address):
        ready(address)
        connection = http.client.HTTPConnection(address.split("/")[2], timeout=20)
        connection.putrequest("POST", "/api/search")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:5])
        time.sleep(0.2)  # the request is at work, and waits for the rest
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{address}healthz", timeout=5)
        connection.send(body[5:])
        answer = connection.getresponse()
        assert answer.status == 200
        assert len(json.loads(answer.read())["answers"]) == 5
        connection.close()
        start = time.monotonic()
        assert process.wait(20) in (0, -signal.SIGTERM)
        assert time.monotonic() - start < 10


def test_a_folder_that_can_only_be_read_is_enough(tmp_path, model):
    folder = tmp_path / "index"
    write_shop(folder, model, shop_items())
    for path in [*folder.rglob("*"), folder]:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        from fashion_jax.serving.server.service import SearchService

        service = SearchService({"shop": folder}, "a run")
        assert len(service.search(like=["00"])[0].answers) == 5
        service.close()
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
