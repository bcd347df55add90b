"""What commands write and print: devices and links that stay, full disks, pipes, terminals."""

import argparse
import dataclasses
import errno
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from fashion_jax import cli
from fashion_jax.cli import command
from fashion_jax.cli.terminal import printable
from fashion_jax.datasets.photos import list_photos
from fashion_jax.errors import FashionJaxError, UnwrittenResultError, keeping
from fashion_jax.files import UnwritableFileError, atomic_write
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.changes import add_photos, compact
from tests.inference import cards

JPEG = b"\xff\xd8\xff"


class Result:
    """A result that a command prints."""

    def __init__(self, text):
        self.text = text

    def to_table(self):
        return self.text

    def to_json(self):
        return {"text": self.text}


def _run(monkeypatch, action, *arguments):
    """Exit status of a command that does nothing but `action(flags)`."""

    def make_parser(_):
        parser = argparse.ArgumentParser()
        commands = parser.add_subparsers(dest="command")
        parser.add_argument("--verbose", action="store_true")
        command.command(
            commands, "act", action, "act", flags={"--box": {}, "--names": {"nargs": "+"}}
        )
        return parser

    monkeypatch.setattr(cli, "make_parser", make_parser)
    return cli.main(["act", *arguments])


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["a pipe", "a folder"])
@pytest.mark.parametrize("through_a_link", [False, True])
def test_what_is_no_file_is_never_replaced(make, through_a_link, tmp_path):
    make(tmp_path / "there")
    place = tmp_path / "there"
    if through_a_link:
        place = tmp_path / "link"
        place.symlink_to("there")
    before = (tmp_path / "there").lstat()
    with pytest.raises(UnwritableFileError, match="and stays: choose another file"):
        atomic_write(place, b"new")
    assert (tmp_path / "there").lstat() == before
    assert {path.name for path in tmp_path.iterdir()} <= {"there", "link"}


def test_a_device_is_never_replaced(tmp_path):
    (tmp_path / "null").symlink_to("/dev/null")
    for place in ("/dev/null", tmp_path / "null"):
        with pytest.raises(UnwritableFileError, match="is a device, and stays"):
            atomic_write(place, b"new")


@pytest.mark.parametrize("exists", [False, True])
def test_a_link_stays_and_its_file_is_replaced(exists, tmp_path):
    (tmp_path / "far").mkdir()
    if exists:
        (tmp_path / "far" / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to("far/file")
    atomic_write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "far").iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800", "x" * 300])
def test_names_that_are_no_names_are_refused(name, tmp_path):
    with pytest.raises((UnwritableFileError, OSError)) as caught:
        atomic_write(f"{tmp_path}/{name}", b"")
    assert "unfinished" not in str(caught.value)


def test_a_loop_of_links_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises((UnwritableFileError, OSError)):
        atomic_write(tmp_path / "loop", b"")
    assert (tmp_path / "loop").is_symlink()


NUMBERS = [
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EIO,
    errno.EXDEV,
    errno.EBUSY,
]


@pytest.mark.parametrize("number", [*NUMBERS, errno.ENAMETOOLONG, errno.EMFILE, errno.ESTALE])
def test_an_error_of_the_disk_is_one_line(number, tmp_path, monkeypatch, capsys):
    def fail(flags):
        raise OSError(number, os.strerror(number), f"{tmp_path}/out.png")

    assert _run(monkeypatch, fail) == 2
    said = capsys.readouterr().err
    assert f"fashion-jax: {tmp_path}/out.png: {os.strerror(number)}" in said
    assert "Traceback" not in said
    assert ("Make room" in said) == (number in (errno.ENOSPC, errno.EDQUOT))
    assert ("MiB free" in said) == ("Make room" in said)


@pytest.mark.parametrize(
    ("error", "place", "number"),
    [
        (
            RuntimeError("write() failed: No space left on device; writing /d/x.rec; at byte 9"),
            "/d/x.rec",
            errno.ENOSPC,
        ),
        (
            ValueError('Error writing "/d/0.0" [OS error 28: ENOSPC No space left on device]'),
            "/d/0.0",
            errno.ENOSPC,
        ),
        (RuntimeError("open() failed: Read-only file system; /d/y"), "/d/y", errno.EROFS),
        (OSError("5120 requested and 992 written"), "a file", errno.ENOSPC),
        (Exception("Disk quota exceeded"), "a file", errno.EDQUOT),
        (RuntimeError("Input/output error while reading /d/z, sorry"), "/d/z", errno.EIO),
    ],
    ids=["ArrayRecord", "TensorStore", "read-only", "NumPy", "quota", "reading"],
)
def test_a_disks_error_in_a_librarys_words(error, place, number, monkeypatch, capsys):
    def fail(flags):
        raise error

    assert _run(monkeypatch, fail) == 2
    assert f"fashion-jax: {place}: {os.strerror(number)}" in capsys.readouterr().err


def test_errors_of_our_own_keep_their_traceback(monkeypatch):
    def fail(flags):
        raise RuntimeError("space left: none of the device's business")

    with pytest.raises(RuntimeError, match="business"):
        _run(monkeypatch, fail)


def test_an_error_without_a_name_is_one_line_as_well(monkeypatch, capsys):
    def fail(flags):
        raise OSError("no words")

    assert _run(monkeypatch, fail) == 2
    assert "fashion-jax: a file: no words" in capsys.readouterr().err


def test_a_full_disk_names_the_file_that_was_meant(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(pathlib.Path, "replace", full)
    with pytest.raises(OSError, match=r"out\.png") as caught:
        atomic_write(tmp_path / "out.png", b"new")
    assert caught.value.filename == str(tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device", "p.png"), FashionJaxError("p.png is a pipe")],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_result_is_printed_before_the_picture_that_cannot_be_written(
    error, as_json, monkeypatch, capsys
):
    def act(flags):
        with keeping(Result("answers"), "the picture"):
            raise error

    assert _run(monkeypatch, act, *(["--json"] if as_json else [])) == 2
    out, err = capsys.readouterr()
    assert "answers" in out
    assert "the picture cannot be written" in err
    assert "p.png" in err


def test_other_errors_beside_a_result_stay_errors():
    with pytest.raises(ZeroDivisionError), keeping(Result(""), "the picture"):
        raise ZeroDivisionError
    with keeping(Result(""), "the picture"):
        pass
    with pytest.raises(UnwrittenResultError) as caught, keeping("kept", "the picture"):
        raise PermissionError(errno.EACCES, "Permission denied", "x")
    assert caught.value.result == "kept"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 日本 👗", "plain é 日本 👗"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("a\u202egpj.exe", r"a\u202egpj.exe"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("half \ud800", r"half \ud800"),
        ("\r\x08\x7f\x9b", r"\r\x08\x7f\x9b"),
        ("\u200bzero\ufeff", r"\u200bzero\ufeff"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("", ""),
    ],
)
def test_what_would_change_a_terminal_is_escaped(text, shown):
    assert printable(text) == shown


def test_names_are_escaped_in_tables_and_messages(monkeypatch, capsys):
    def act(flags):
        command.print_result(Result("evil\x1b[31m\u202e"), flags)
        raise FashionJaxError("no photo \x1b]0;owned\x07")

    assert _run(monkeypatch, act) == 2
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert (r"evil\x1b[31m\u202e" in out, r"\x1b]0;owned\x07" in err) == (True, True)


@pytest.mark.parametrize(
    ("given", "box"),
    [("-5,10,80,90", "-5,10,80,90"), ("-.5,0,1,1", "-.5,0,1,1"), ("5,-10,80,90", "5,-10,80,90")],
)
def test_boxes_that_begin_outside_are_values(given, box, monkeypatch):
    seen = []
    for arguments in (["--box", given], [f"--box={given}"]):
        assert _run(monkeypatch, lambda flags: seen.append(flags.box), *arguments) == 0
    assert seen == [box, box]


def test_names_with_commas_stay_one_value(monkeypatch):
    seen = []
    _run(monkeypatch, lambda flags: seen.append(flags.names), "--names", "Kleider, Röcke", "Schuhe")
    assert seen == [["Kleider, Röcke", "Schuhe"]]


SCRIPT = """
import argparse, sys
from fashion_jax import cli
from fashion_jax.cli import command
class Result:
    def to_table(self): return "kleid röcke 日本\\n" * LINES
def make_parser(_):
    parser = argparse.ArgumentParser()
    parser.add_argument("--verbose", action="store_true")
    act = lambda flags: command.print_result(Result(), flags)
    command.command(parser.add_subparsers(dest="command"), "act", act, "act")
    return parser
cli.make_parser = make_parser
sys.exit(cli.main(["act"]))
"""


def _process(lines, **options):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("LINES", str(lines))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_an_ascii_terminal_shows_escapes():
    process = _process(1, env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"kleid r\\xf6cke \\u65e5\\u672c\n\n", b"")


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_closed_pipe_ends_without_a_word(lines):
    process = _process(lines)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def _catalogue_like(folder, text):
    data = storage.new_data_folder(folder)
    (data / "file").write_text(text)
    (folder / storage.MANIFEST).write_text(data.name)


def _content(folder):
    return (folder / (folder / storage.MANIFEST).read_text() / "file").read_text()


def test_a_folder_behind_a_link_is_changed_where_it_is(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk/index")
    for text, place in (("one", "disk"), ("two", "disk/index")):
        with storage.staged(tmp_path / "link") as staging:
            assert staging.parent == tmp_path / place
            _catalogue_like(staging, text)
            storage.install(staging, tmp_path / "link")
        assert _content(tmp_path / "link") == text
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "link"]
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["index"]
    assert len(list((tmp_path / "link").glob("data-*"))) == 1


def test_a_folder_that_is_there_is_changed_from_within(tmp_path):
    (tmp_path / "disk").mkdir()
    for text in ("one", "two"):
        with storage.staged(tmp_path / "disk") as staging:
            assert staging.parent == tmp_path / "disk"
            _catalogue_like(staging, text)
            storage.install(staging, tmp_path / "disk")
        assert _content(tmp_path / "disk") == text
        assert len(list((tmp_path / "disk").iterdir())) == 2
    (tmp_path / "disk" / "more").write_text("")
    (tmp_path / "disk" / storage.MANIFEST).unlink()
    with (
        storage.staged(tmp_path / "disk") as staging,
        pytest.raises(storage.StorageError, match="exists already"),
    ):
        storage.install(staging, tmp_path / "disk")


def test_a_compaction_on_a_full_disk_is_an_error_and_changes_nothing(tmp_path, monkeypatch):
    card = dataclasses.replace(cards.CARD, embedding_width=4)
    items = [Item(str(n), "1", "hats", "shop") for n in range(4)]
    vectors = np.eye(4, dtype=np.float32)
    Catalogue.write(tmp_path / "index", vectors[:2], items[:2], [JPEG] * 2, card, "exact")
    add_photos(tmp_path / "index", vectors[2:], items[2:], [JPEG] * 2, card)

    def full(descriptor, offset, size):
        assert size >= 4 * 4 * 4
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match=r"No space left on device: .*npy"):
        compact(tmp_path / "index")
    assert [item.photo_id for item in Catalogue.open(tmp_path / "index").items] == list("0123")
    assert [path.name for path in tmp_path.iterdir()] == ["index"]

    def unknown(descriptor, offset, size):
        raise OSError(errno.EOPNOTSUPP, "")

    monkeypatch.setattr(os, "posix_fallocate", unknown)
    assert compact(tmp_path / "index").changed
    assert len(Catalogue.open(tmp_path / "index")) == 4


def test_folders_behind_links_are_listed_once(tmp_path):
    for name in ("in/a.jpg", "far/b.jpg", "far/.hidden", "in/.git/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "far")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "nowhere.jpg").symlink_to(tmp_path / "nothing")
    names = [path.relative_to(tmp_path / "in").as_posix() for path in list_photos(tmp_path / "in")]
    assert names == ["a.jpg", "link/b.jpg"]


def test_a_folder_that_cannot_be_listed_is_not_left_out(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError, match="closed"):
        list_photos(tmp_path)


FAILING = SCRIPT.replace(
    "    act = lambda flags: command.print_result(Result(), flags)",
    """
    def act(flags):
        from fashion_jax.errors import keeping
        with keeping(Result(), "the picture"):
            raise PermissionError(13, "Permission denied", "p.png")
""".strip("\n"),
)


def _shell(script, redirection):
    process = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {redirection}', sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize("script", [SCRIPT, FAILING], ids=["result", "result and error"])
@pytest.mark.parametrize("redirection", [">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_take_nothing_end_without_a_traceback(script, redirection):
    fails = script is FAILING
    script = script.replace("LINES", "3")
    status, out, err = _shell(script, redirection)
    full = redirection == ">/dev/full"
    assert status == (2 if fails or full else 0)
    assert "Traceback" not in out + err
    assert "Exception ignored" not in err
    assert ("its output cannot be written: No space left on device" in err) == full
    assert out == ("" if redirection.startswith(">") else "kleid röcke 日本\n" * 3 + "\n")


def test_a_pipe_that_closes_before_an_error_ends_without_a_word():
    process = subprocess.Popen(
        [sys.executable, "-c", FAILING.replace("LINES", "100_000")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_a_file_never_gets_the_number_of_a_closed_stream(tmp_path):
    script = (
        "import os, sys; from fashion_jax.cli.terminal import prepare_streams\n"
        "prepare_streams(); file = open(sys.argv[1], 'wb')\n"
        "os.write(1, b'a message'); os.write(2, b'a message'); sys.exit(file.fileno())\n"
    )
    shell = '"$0" -c "$1" "$2" <&- >&- 2>&-'
    command_line = ["bash", "-c", shell, sys.executable, script, str(tmp_path / "file")]
    assert subprocess.run(command_line, check=False).returncode > 2
    assert (tmp_path / "file").read_bytes() == b""
