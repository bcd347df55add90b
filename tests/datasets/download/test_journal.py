"""The journal: whole lines, whatever interrupted the last run."""

import json

import pytest

from fashion_jax.datasets.download.journal import Entry, Journal, read_permanent_failures
from fashion_jax.errors import FashionJaxError


def failed(photo, reason="http_404", permanent=True, link="http://a.com/1"):
    return Entry(photo, link, 1, reason=reason, permanent=permanent)


def write(path, *entries):
    with Journal(path) as journal:
        for entry in entries:
            journal.write(entry)


def test_lines_are_appended(tmp_path):
    path = tmp_path / "new" / "journal.jsonl"
    write(path, Entry("1", "http://a.com/é", 2, "http://a.com/é", 200, file="1.jpg", bytes=9))
    write(path, failed("2"))
    first, second = map(json.loads, path.read_text(encoding="ascii").splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "photo": "1",
        "link": "http://a.com/é",
        "outcome": "fetched",
        "attempts": 2,
        "status": 200,
        "file": "1.jpg",
        "bytes": 9,
    }
    assert (second["photo"], second["reason"], second["permanent"]) == ("2", "http_404", True)


def test_a_line_is_there_before_the_next_is_written(tmp_path):
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(failed("1"))
        assert list(read_permanent_failures(path)) == ["1"]


def test_the_last_line_of_a_photo_counts(tmp_path):
    path = tmp_path / "journal.jsonl"
    write(path, failed("1"), failed("2", permanent=False), failed("3"), failed("4"))
    write(path, failed("1", permanent=False), failed("2", "not_an_image"))
    write(path, Entry("3", "http://a.com/1", 1))
    assert read_permanent_failures(path) == {
        "2": ("http://a.com/1", "not_an_image"),
        "4": ("http://a.com/1", "http_404"),
    }


@pytest.mark.parametrize(
    "torn", [b'{"time": "2026', b"\x00\x00\xff", b'{"photo": ["1"], "link": 2}', b"7", b"[]\n{}"]
)
def test_a_torn_line_is_passed_over(tmp_path, torn):
    path = tmp_path / "journal.jsonl"
    write(path, failed("1"))
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_permanent_failures(path)) == ["1"]
    write(path, failed("2"))
    assert list(read_permanent_failures(path)) == ["1", "2"]
    assert path.read_bytes().count(torn + b"\n") == 1


def test_no_journal_yet(tmp_path):
    assert read_permanent_failures(tmp_path / "none") == {}


def test_journal_that_is_a_folder(tmp_path):
    with pytest.raises(FashionJaxError, match="cannot write the journal"):
        Journal(tmp_path)
    with pytest.raises(FashionJaxError, match="cannot read the journal"):
        read_permanent_failures(tmp_path)
