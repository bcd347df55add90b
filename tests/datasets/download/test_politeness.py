"""Politeness to hosts: few photos at once, pauses, turns; dead ones are left alone."""

import asyncio

import pytest

from tests.datasets.download.downloads import fetch, journal
from tests.datasets.download.hostile_server import HostileServer, drop, photo, redirect, reply


@pytest.mark.slow
def test_nobody_is_asked_while_a_host_wants_a_pause(server, tmp_path):
    """Of two photos, one at a time: the second has to wait for the first one's pause, too."""
    links = [
        server.on("/1", reply(status=429, Retry_After=1), reply(photo())),
        server.on("/2", reply(photo())),
    ]
    assert fetch(tmp_path, links, per_host=1).fetched == 2
    # What waited is first afterwards.
    assert [request.split()[1] for request in server.requests] == ["/1", "/1", "/2"]


def test_a_host_that_wants_a_long_pause_is_left_alone(server, tmp_path):
    links = [server.on(f"/{i}", reply(status=429, Retry_After=3600)) for i in range(9)]
    report = fetch(tmp_path, links, per_host=1)
    assert dict(report.failed) == {"http_429": 1, "host_given_up": 8}
    assert server.asked.total() == 1
    assert "asked for a pause of 3,600 seconds" in journal(tmp_path)[-1]["detail"]
    assert not any(line["permanent"] for line in journal(tmp_path))


def test_a_host_that_keeps_failing_is_left_alone_and_the_next_run_tries_again(server, tmp_path):
    links = [server.on(f"/{i}", drop) for i in range(30)]
    report = fetch(tmp_path, links, per_host=1, give_up_after=4, retries=1)
    assert server.asked.total() == 4
    assert report.failed["connection_dropped"] + report.failed["host_given_up"] == 30
    assert [each["failed"] for each in report.worst_hosts()] == [30]
    fetch(tmp_path, links, per_host=1, give_up_after=4, retries=1)
    assert server.asked.total() == 8


@pytest.mark.parametrize(("per_host", "concurrency"), [(2, 32), (32, 2)])
def test_few_photos_at_once(server, tmp_path, per_host, concurrency):
    """Each answer waits for another request, so that two are needed, and more would be seen."""

    async def in_pairs(writer):
        while server.asked.total() % 2 and server.asked.total() < 9:
            await asyncio.sleep(0.005)
        await asyncio.sleep(0.02)
        await reply(photo())(writer)

    links = [server.on(f"/{i}", in_pairs) for i in range(10)]
    report = fetch(tmp_path, links, per_host=per_host, concurrency=concurrency)
    assert report.fetched == 10
    assert server.most_at_once == 2


def test_redirects_to_one_host_keep_its_limit(server, tmp_path):
    with HostileServer("127.0.0.2") as other:
        targets = [other.on(f"/{i}", reply(photo())) for i in range(12)]
        links = [server.on(f"/{i}", redirect(target)) for i, target in enumerate(targets)]
        assert fetch(tmp_path, links, per_host=1).fetched == 12
    assert (server.most_at_once, other.most_at_once) == (1, 1)


def test_a_slow_host_keeps_no_other_waiting(server, tmp_path):
    """The slow host, first in the list, answers only when the other one was asked for all."""
    with HostileServer("127.0.0.2") as slow:

        async def last(writer):
            if server.asked.total() == 20:
                slow.open_gate()
            await reply(photo())(writer)

        gated = [slow.on(f"/{i}", slow.gate(reply(photo()))) for i in range(20)]
        links = gated + [server.on(f"/{i}", last) for i in range(20)]
        report = fetch(tmp_path, links, concurrency=3, per_host=2)
    assert report.fetched == 40
