"""`data download` as a whole: runs that go on, lists, folders, summary, command."""

import asyncio
import errno
import fcntl
import json
import pathlib
import re

import pytest

from fashion_jax.datasets.download import store
from fashion_jax.datasets.download.download import download
from fashion_jax.datasets.download.links import DownloadError
from fashion_jax.datasets.download.options import DownloadOptions
from fashion_jax.errors import FashionJaxError
from fashion_jax.locks import InUseError
from tests.datasets.download.downloads import OPTIONS, fetch, files, journal, write_links
from tests.datasets.download.hostile_server import drop, photo, reply


def test_a_second_run_asks_for_nothing_that_is_there_or_gone(server, tmp_path):
    links = [
        server.on("/1", reply(photo())),
        server.on("/2", reply(status=404)),
        server.on("/3", reply(status=500), reply(status=500), reply(photo())),
    ]
    first = fetch(tmp_path, links, retries=1)
    assert (first.fetched, dict(first.failed)) == (1, {"http_404": 1, "http_500": 1})
    second = fetch(tmp_path, links, retries=1)
    assert (second.there, dict(second.failed_before), second.fetched) == (1, {"http_404": 1}, 1)
    assert server.asked == {"/1": 1, "/2": 1, "/3": 3}
    third = fetch(tmp_path, links, retry_failed=True)
    assert (third.there, dict(third.failed)) == (2, {"http_404": 1})
    assert server.asked == {"/1": 1, "/2": 2, "/3": 3}


def test_a_new_link_for_a_photo_that_was_gone_is_tried(server, tmp_path):
    fetch(tmp_path, [server.on("/old", reply(status=410))])
    report = fetch(tmp_path, [server.on("/new", reply(photo()))])
    assert (report.fetched, report.failed_before.total()) == (1, 0)


def test_photos_in_the_other_folder_or_with_another_ending_are_there(server, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "000000001").write_bytes(b"")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "000000002.png").write_bytes(b"")
    report = fetch(tmp_path, [server.url("/1"), server.url("/2")])
    assert (report.photos()["listed"], report.there) == (2, 2)
    assert not server.asked


def test_limit(server, tmp_path):
    links = [server.on(f"/{i}", reply(photo())) for i in range(5)]
    report = fetch(tmp_path, links, limit=2)
    assert (report.fetched, report.photos()["left"]) == (2, 3)
    assert files(tmp_path) == ["000000001.jpg", "000000002.jpg"]
    assert (fetch(tmp_path, links, limit=9).fetched, server.asked.total()) == (3, 5)


def test_bad_lines_are_reported(server, tmp_path):
    report = fetch(tmp_path, ["gone away", server.on("/2", reply(photo()))])
    assert (report.photos()["listed"], report.fetched) == (1, 1)
    assert report.to_json()["bad_lines"] == ["line 1: not an http or https link: 'gone away'"]


def test_full_disk_ends_the_run_and_blames_no_photo(server, tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "atomic_write", full)
    links = [server.on(f"/{i}", reply(photo())) for i in range(4)]
    with pytest.raises(DownloadError, match=r"cannot write .*No space left on device.*make room"):
        fetch(tmp_path, links)
    assert journal(tmp_path) == []


def test_in_a_notebook(tmp_path):
    async def cell():
        download("street2shop", tmp_path)

    with pytest.raises(DownloadError, match="!fashion-jax data download"):
        asyncio.run(cell())


def test_two_downloads_into_one_folder(tmp_path):
    write_links(tmp_path, ["http://a.com/1"])
    with (tmp_path / "photos" / ".download_journal.jsonl.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InUseError, match="another process is downloading into"):
            download("street2shop", tmp_path, OPTIONS, progress=False)


def test_folder_that_cannot_be_written(tmp_path):
    write_links(tmp_path, ["http://a.com/1"])
    (tmp_path / "images").write_text("a file")
    with pytest.raises(FashionJaxError, match=r"cannot write to .*images"):
        download("street2shop", tmp_path, OPTIONS, progress=False)


def test_datasets_without_links():
    with pytest.raises(DownloadError, match="needs no download: fashion-jax data build"):
        download("synthetic_street2shop")
    with pytest.raises(FashionJaxError, match="did you mean 'street2shop'"):
        download("steet2shop")
    with pytest.raises(FashionJaxError, match=r"unknown dataset '\.\./x'"):
        download("../x")


def test_where_to_ask_for_a_dataset_without_links(monkeypatch):
    from fashion_jax.data_builders.synthetic_street2shop.synthetic_street2shop import (
        SyntheticStreet2Shop,
    )

    monkeypatch.setattr(SyntheticStreet2Shop, "HOMEPAGE", "http://authors.edu/ask")
    instructions = "\n    manual_dir must hold\n    everything.\n"
    monkeypatch.setattr(SyntheticStreet2Shop, "MANUAL_DOWNLOAD_INSTRUCTIONS", instructions)
    with pytest.raises(DownloadError) as caught:
        download("synthetic_street2shop")
    assert str(caught.value).splitlines() == [
        "synthetic_street2shop does not publish links to its photos.",
        "Ask for them at http://authors.edu/ask",
        "manual_dir must hold",
        "everything.",
        "See data_builders/synthetic_street2shop/README.md.",
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"concurrency": 0}, "concurrency must be at least 1, not 0"),
        ({"per_host": 0}, "per_host must be at least 1"),
        ({"timeout": 0.0}, "timeout must be more than 0"),
        ({"timeout": float("nan")}, "timeout must be more than 0"),
        ({"timeout": float("inf")}, "timeout must be more than 0 and finite"),
        ({"retries": -1}, "retries must be 0 or more"),
        ({"limit": 0}, "limit must be at least 1"),
    ],
)
def test_limits_that_make_no_sense(values, message):
    with pytest.raises(DownloadError, match=message):
        DownloadOptions(**values)


def test_summary(server, tmp_path):
    links = [server.on("/1", reply(photo())), server.url("/2"), server.on("/3", drop), "mailto:a"]
    fetch(tmp_path, links[:2])
    write_links(tmp_path, links)
    (tmp_path / "images" / "000000001.jpg").unlink()
    report = download("street2shop", tmp_path, OPTIONS, progress=False)
    table = re.sub(" +", " ", report.to_table())
    for line in (
        f"street2shop: photos of {tmp_path}/photos/photos.txt into {tmp_path}/images",
        "\nlisted 3\n",
        "\nfailed in earlier runs 1\n",
        "\nfailed 1\n",
        "\nconnection_dropped 1 retries\n",
        f"{server.address}:{server.port} 1 1 connection_dropped 1",
        "line 4: not an http or https link: 'mailto:a'",
        "run the same command again to fetch 1 more photo(s)",
        "--retry_failed also retries those that were found gone",
    ):
        assert line in table
    values = json.loads(json.dumps(report.to_json()))
    assert values["photos"] == {
        "listed": 3,
        "there_before": 0,
        "failed_in_earlier_runs": 1,
        "fetched": 1,
        "failed": 1,
        "left": 0,
    }
    assert values["worst_hosts"][0]["reasons"] == {"connection_dropped": 1}
    assert pathlib.Path(values["journal"]).is_file()


def test_command(server, tmp_path, capsys):
    from fashion_jax.cli import main

    write_links(tmp_path, [server.on("/1", reply(photo()))])
    arguments = ["data", "download", "--dataset", "street2shop", "--manual_dir", str(tmp_path)]
    assert main([*arguments, "--allow_private_hosts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photos"]["fetched"] == 1
    assert main([*arguments, "--limit", "0"]) == 2
    assert "limit must be at least 1" in capsys.readouterr().err
