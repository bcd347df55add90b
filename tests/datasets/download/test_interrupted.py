"""Runs that end early: Ctrl-C and SIGKILL lose nothing, and the next run goes on."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from fashion_jax.datasets.download.download import download
from tests.datasets.download.downloads import OPTIONS, files, journal, write_links
from tests.datasets.download.hostile_server import photo, reply

PHOTOS = 12
AT_ONCE = 3
QUICK = 4  # answered at once; the others only when the gate is open
DEADLINE = 120  # of a wait that ends at once unless something is broken


@pytest.fixture(autouse=True)
def ctrl_c_counts():
    """A shell's background job ignores Ctrl-C, and so does whatever it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def start(server, folder):
    """Start the command; return when it has the quick photos and waits for others."""
    links = [
        server.on(f"/{i}", reply(photo(i)) if i < QUICK else server.gate(reply(photo(i))))
        for i in range(PHOTOS)
    ]
    write_links(folder, links)
    command = [sys.executable, "-m", "fashion_jax.cli", "data", "download", "--dataset"]
    command += ["street2shop", "--manual_dir", str(folder), "--allow_private_hosts", "--json"]
    command += ["--per_host", str(AT_ONCE), "--timeout", str(DEADLINE)]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: server.asked.total() == QUICK + AT_ONCE, started)
    wait_for(lambda: len(journal(folder)) == QUICK, started)
    return started


def wait_for(condition, process):
    end = time.monotonic() + DEADLINE
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"the download did not get there: {process.communicate()}")
        time.sleep(0.01)


def go_on(folder):
    return download("street2shop", folder, OPTIONS, progress=False)


def names():
    return [f"{number:09d}.jpg" for number in range(1, PHOTOS + 1)]


def press_ctrl_c(started):
    """Presses it once; returns when the command has heard of it."""
    started.send_signal(signal.SIGINT)
    errors = ""
    while "stopping" not in errors:
        read = started.stderr.read(1)
        assert read, f"the command ended without a word about it: {errors}"
        errors += read


def test_ctrl_c_finishes_what_is_under_way(server, tmp_path):
    started = start(server, tmp_path)
    press_ctrl_c(started)
    server.open_gate()
    output, errors = started.communicate(timeout=DEADLINE)
    assert started.returncode == 130
    assert "run the same command again to resume" in errors
    assert "Traceback" not in errors
    report = json.loads(output)
    done = QUICK + AT_ONCE
    assert report["interrupted"]
    assert (report["photos"]["fetched"], report["photos"]["left"]) == (done, PHOTOS - done)
    assert files(tmp_path) == names()[:done]
    second = go_on(tmp_path)
    assert (second.there, second.fetched) == (done, PHOTOS - done)
    assert server.asked == {f"/{i}": 1 for i in range(PHOTOS)}


def test_a_second_ctrl_c_waits_for_nothing(server, tmp_path):
    started = start(server, tmp_path)
    press_ctrl_c(started)
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=DEADLINE)
    assert started.returncode == 130
    assert "Traceback" not in errors
    server.open_gate()
    assert files(tmp_path) == names()[:QUICK]
    assert go_on(tmp_path).fetched == PHOTOS - QUICK


def test_kill_leaves_a_state_from_which_it_goes_on(server, tmp_path):
    started = start(server, tmp_path)
    started.kill()
    started.communicate()
    # What a kill can leave behind: a half written photo under another name, half a line.
    unfinished = tmp_path / "images" / f".{names()[QUICK]}.{started.pid}.unfinished"
    unfinished.write_bytes(photo()[:99])
    with (tmp_path / "photos" / "download_journal.jsonl").open("a") as file:
        file.write('{"time": "2026-01-')
    server.open_gate()
    report = go_on(tmp_path)
    assert (report.there, report.fetched) == (QUICK, PHOTOS - QUICK)
    assert files(tmp_path) == names()
    for i, name in enumerate(names()):
        assert (tmp_path / "images" / name).read_bytes() == photo(i)
    asked = [server.asked[f"/{i}"] for i in range(PHOTOS)]
    assert asked == [1] * QUICK + [2] * AT_ONCE + [1] * (PHOTOS - QUICK - AT_ONCE)


def test_ctrl_c_cancels_what_takes_too_long(server, tmp_path):
    """In this process: a host that is asked for the second photo presses Ctrl-C."""

    async def press(writer):
        os.kill(os.getpid(), signal.SIGINT)
        await server.gate(reply(photo()))(writer)

    links = [server.on("/0", reply(photo())), server.on("/1", press), server.on("/2")]
    server.on("/2", reply(photo()))
    write_links(tmp_path, links)
    options = dataclasses.replace(OPTIONS, per_host=1, grace=0.05)
    report = download("street2shop", tmp_path, options, progress=False)
    assert (report.interrupted, report.fetched, report.photos()["left"]) == (True, 1, 2)
    assert report.failed.total() == 0
    assert [line["photo"] for line in journal(tmp_path)] == ["000000001"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    server.open_gate()
    server.on("/1", reply(photo()))
    assert go_on(tmp_path).fetched == 2
    assert server.asked == {"/0": 1, "/1": 2, "/2": 1}


def test_without_a_main_thread_there_is_no_ctrl_c_and_no_harm(server, tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    write_links(tmp_path, [server.on("/1", reply(photo()))])
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(go_on, pathlib.Path(tmp_path)).result().fetched == 1
