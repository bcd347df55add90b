"""Links from strangers do not lead into the local network, whatever name or redirect is used."""

import socket

import pytest

from fashion_jax.datasets.download import addresses
from tests.datasets.download.downloads import fetch, journal, outcome
from tests.datasets.download.hostile_server import HostileServer, photo, redirect, reply


def test_links_into_the_local_network_are_refused(server, tmp_path):
    server.on("/1", reply(photo()))
    hosts = ["127.0.0.1", "localhost", "0.0.0.0", "[::ffff:127.0.0.1]", "[::1]"]
    links = [f"http://{host}:{server.port}/1" for host in hosts]
    report = fetch(tmp_path, links, allow_private_hosts=False)
    assert dict(report.failed) == {"private_address": 5}
    assert not server.asked
    details = {line["link"]: line["detail"] for line in journal(tmp_path)}
    assert details[links[0]] == "127.0.0.1 is not an address of the public internet"
    assert all(line["permanent"] for line in journal(tmp_path))
    assert "--allow_private_hosts" in report.to_table()


@pytest.mark.parametrize("found", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
def test_names_of_this_machine_are_refused(server, tmp_path, monkeypatch, found):
    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, server.port)) for each in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: addresses)
    link = f"http://photos.example:{server.port}/1"
    report = fetch(tmp_path, [link], allow_private_hosts=False)
    assert dict(report.failed) == {"private_address": 1}
    assert not server.asked


@pytest.mark.parametrize("address", ["http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/"])
def test_other_spellings_of_this_machine_are_refused(tmp_path, address):
    report = fetch(tmp_path, [address], allow_private_hosts=False, retries=0)
    assert set(report.failed) <= {"private_address", "bad_link", "host_not_found"}
    assert report.failed.total() == 1


def test_a_redirect_into_the_local_network_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: address == server.address)
    with HostileServer("127.0.0.2") as inside:
        answer = redirect(inside.on("/secret.jpg", reply(photo())))
        line = outcome(server, tmp_path, answer, allow_private_hosts=False)
    assert line["reason"] == "private_address"
    assert line["detail"].startswith("127.0.0.2 ")
    assert server.asked == {"/1.jpg": 1}
    assert not inside.asked
