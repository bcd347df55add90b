"""Two processes that write the same thing: the second one is refused, and told who is at work."""

import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading

import filelock
import jax
import numpy as np
import pytest

from fashion_jax.config import Experiment
from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.download.download import download
from fashion_jax.errors import FashionJaxError
from fashion_jax.experiments.ablation import run_ablation
from fashion_jax.experiments.demo import run_demo
from fashion_jax.files import StorageError
from fashion_jax.locks import InUseError, lock_if_free, sole_writer
from fashion_jax.parallel.hosts import Host, sole_job
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.changes import compact, open_for_change, remove_photos
from fashion_jax.retrieval.catalogue.info import catalogue_info
from fashion_jax.retrieval.embedding_plan import EmbeddingPlan, read_plan
from fashion_jax.retrieval.embedding_shards import open_embeddings
from fashion_jax.serving.bulk_embedding import embed_catalogue, joined
from fashion_jax.training.loop import train
from tests.datasets.download.downloads import OPTIONS, write_links
from tests.e2e.untrained_run import write_untrained_run
from tests.inference.cards import CARD

# A shell's background job ignores SIGINT, and so would a process that it starts.
HOLDER = """
import pathlib, signal, sys, time
from fashion_jax.locks import sole_writer
signal.signal(signal.SIGINT, signal.default_int_handler)
with sole_writer(pathlib.Path(sys.argv[1]), "writing"):
    print("held", flush=True)
    time.sleep(600)
"""
LOCK = ".lock"
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d"
# By host 0 of three, whose shards are 0, 3, ...
UNFINISHED = ".shard-00000.parquet.1234.unfinished"


@contextlib.contextmanager
def held_by_a_process(path):
    """Hold a lock in another process, which is killed at the end at the latest."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def require_free(path):
    with sole_writer(path, "writing"):
        assert path.is_file()
    assert not path.exists()


class TestHolder:
    def test_is_named_with_its_host_and_time_until_it_is_killed(self, tmp_path):
        path = tmp_path / LOCK
        with held_by_a_process(path) as process:
            message = f"another process is writing: process {process.pid} on {socket.gethostname()}"
            expected = rf"{re.escape(message)}, since {TIME}\. Wait until it has ended, or end it"
            for _ in range(2):  # refused writers change nothing
                with pytest.raises(InUseError, match=expected), sole_writer(path, "writing"):
                    pass
            process.kill()
            process.wait()
            assert path.is_file()
            require_free(path)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_leaves_no_lock_when_it_is_ended(self, tmp_path, number):
        with held_by_a_process(tmp_path / LOCK) as process:
            process.send_signal(number)
            process.wait()
            require_free(tmp_path / LOCK)

    def test_releases_the_lock_after_an_error(self, tmp_path):
        with pytest.raises(ZeroDivisionError), sole_writer(tmp_path / LOCK, "writing"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []
        require_free(tmp_path / LOCK)

    def test_is_one_of_many_threads(self, tmp_path):
        ready, refused, done = threading.Barrier(8), [], threading.Event()

        def write():
            ready.wait()
            try:
                with sole_writer(tmp_path / LOCK, "writing"):
                    done.wait(60)
            except InUseError as error:
                refused.append(str(error))
                if len(refused) == 7:
                    done.set()

        in_threads(8, write)
        assert len(refused) == 7
        named = [text for text in refused if f"process {os.getpid()} on " in text]
        assert len(named) + sum("it began a moment ago" in text for text in refused) == 7

    def test_is_alone_while_others_take_and_release(self, tmp_path):
        inside, most, taken = [], [], []

        def write():
            while len(taken) < 300:
                with contextlib.suppress(InUseError), sole_writer(tmp_path / LOCK, "writing"):
                    inside.append(None)
                    most.append(len(inside))
                    taken.append(None)
                    inside.pop()

        in_threads(4, write)
        assert set(most) == {1}
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("said", ["nothing", "stale", "still listed"])
    def test_opens_again_what_its_last_holder_removes(self, tmp_path, monkeypatch, said):
        lock, opened = filelock.lock_descriptor, []

        def late(descriptor, blocking):
            opened.append(descriptor)
            if len(opened) == 1:
                (tmp_path / LOCK).unlink()
                if said == "stale":  # as NFS says of a removed file
                    raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))
            return lock(descriptor, blocking=blocking)

        if said == "still listed":  # as NFS lists a name that another host has removed
            monkeypatch.setattr(os.path, "samestat", lambda *_: True)
        monkeypatch.setattr(filelock, "lock_descriptor", late)
        with sole_writer(tmp_path / LOCK, "writing"):
            assert len(opened) == 2
            with pytest.raises(InUseError):
                sole_writer(tmp_path / LOCK, "writing").__enter__()

    def test_cannot_take_it_twice_but_others_below_it(self, tmp_path):
        with sole_writer(tmp_path / LOCK, "writing"):
            with sole_writer(tmp_path / "below" / LOCK, "writing"):
                pass
            with (
                pytest.raises(InUseError, match=f"process {os.getpid()} on "),
                sole_writer(tmp_path / LOCK, "writing"),
            ):
                pass
        require_free(tmp_path / LOCK)

    def test_does_not_remove_the_file_of_another(self, tmp_path):
        path = tmp_path / LOCK
        with contextlib.ExitStack() as second:
            with sole_writer(path, "writing"):
                path.unlink()  # by hand
                second.enter_context(sole_writer(path, "writing"))
            with pytest.raises(InUseError), sole_writer(path, "writing"):
                pass
        assert not path.exists()

    def test_may_lose_its_folder(self, tmp_path):
        with sole_writer(tmp_path / "run" / LOCK, "writing"):
            shutil.rmtree(tmp_path / "run")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("content", "shown"),
        [
            (b"", "it began a moment ago"),
            (b" \n", "it began a moment ago"),
            (b"\x1b[2Jprocess 1\r\n\x00", r"\[2Jprocess 1\."),
            (b"\xff\xfe", "another process is writing: "),
            (b"x" * 10_000, r": x{200}\. Wait"),
        ],
    )
    def test_may_have_written_anything(self, tmp_path, content, shown):
        (tmp_path / LOCK).write_bytes(content)
        with (tmp_path / LOCK).open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(InUseError, match=shown) as caught:
                sole_writer(tmp_path / LOCK, "writing").__enter__()
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("content", [b"", b"process 1 on here, since ever\n", b"\0" * 5000])
    def test_that_is_dead_holds_nothing(self, tmp_path, content):
        (tmp_path / LOCK).write_bytes(content)
        require_free(tmp_path / LOCK)

    def test_does_not_hold_a_copy(self, tmp_path):
        with sole_writer(tmp_path / "run" / LOCK, "writing"):
            shutil.copytree(tmp_path / "run", tmp_path / "copy")
            require_free(tmp_path / "copy" / LOCK)


def in_threads(count, function):
    threads = [threading.Thread(target=function) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _socket(path):
    here = pathlib.Path.cwd()
    os.chdir(path.parent)  # a socket's path has at most 107 bytes
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _link_to_a_file(path):
    path.with_name("important").write_text("important")
    path.symlink_to("important")


NO_FILES = {
    "a folder": pathlib.Path.mkdir,
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to a file": _link_to_a_file,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a link to a folder": lambda path: path.symlink_to(path.parent),
}


class TestPlace:
    @pytest.mark.parametrize("kind", NO_FILES)
    def test_that_is_no_file_is_named_and_left_alone(self, tmp_path, kind):
        path = tmp_path / LOCK
        NO_FILES[kind](path)
        before = [entry.name for entry in tmp_path.iterdir()]
        with pytest.raises(FashionJaxError, match=re.escape(f"{path} is not a regular file")):
            sole_writer(path, "writing").__enter__()
        assert [entry.name for entry in tmp_path.iterdir()] == before
        if kind == "a link to a file":
            assert (tmp_path / "important").read_text() == "important"

    @pytest.mark.parametrize("parent", ["file", "file/below"])
    def test_below_a_file_is_named(self, tmp_path, parent):
        (tmp_path / "file").write_text("important")
        with pytest.raises(FashionJaxError, match=rf"cannot write to .*/{parent}: it is not a fol"):
            sole_writer(tmp_path / parent / LOCK, "writing").__enter__()

    @pytest.mark.parametrize("name", ["x\0", "x" * 300])
    def test_with_a_name_that_is_none_is_named(self, tmp_path, name):
        with pytest.raises(FashionJaxError, match="cannot write to"):
            sole_writer(tmp_path / name, "writing").__enter__()

    @pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC])
    def test_that_cannot_be_written_is_named(self, tmp_path, monkeypatch, number):
        def refuse(*arguments):
            raise OSError(number, os.strerror(number), str(tmp_path / LOCK))

        monkeypatch.setattr(os, "open", refuse)
        expected = re.escape(f"cannot write to {tmp_path / LOCK}: {os.strerror(number)}")
        with pytest.raises(FashionJaxError, match=expected):
            sole_writer(tmp_path / LOCK, "writing").__enter__()

    @pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EIO])
    def test_without_locks_is_warned_of_once(self, tmp_path, monkeypatch, caplog, number):
        def refuse(descriptor, blocking):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(filelock, "lock_descriptor", refuse)
        with sole_writer(tmp_path / LOCK, "writing"):
            (text,) = caplog.messages
        assert text == (
            f"{tmp_path / LOCK} cannot be locked ({os.strerror(number)}): make sure that no second "
            "process is writing"
        )
        with storage.locked(tmp_path):
            assert f"no second process is changing {tmp_path}" in caplog.messages[1]
        assert list(tmp_path.iterdir()) == []

    def test_that_numbers_files_anew_is_locked(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os.path, "samestat", lambda *_: False)
        with (
            sole_writer(tmp_path / LOCK, "writing"),
            pytest.raises(InUseError),
        ):
            sole_writer(tmp_path / LOCK, "writing").__enter__()

    def test_without_locks_keeps_what_another_host_stages(self, tmp_path, monkeypatch):
        def refuse(descriptor, blocking):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(filelock, "lock_descriptor", refuse)
        with storage.staged(tmp_path / "a") as first, storage.staged(tmp_path / "a") as second:
            assert first.is_dir()
            assert second.is_dir()

    def test_on_a_full_disk_is_held_without_a_name(self, tmp_path, monkeypatch):
        def refuse(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "write", refuse)
        with (
            sole_writer(tmp_path / LOCK, "writing"),
            pytest.raises(InUseError, match="it began a moment ago"),
        ):
            sole_writer(tmp_path / LOCK, "writing").__enter__()
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def run(tiny_config, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("run") / "workdir"
    write_untrained_run(tiny_config, workdir)
    return workdir


def _train(folder, config, _):
    train(config, folder, progress=False)


def _ablation(folder, config, _):
    run_ablation([Experiment("a", None, config)], 1, folder, progress=False)


def _ablation_of_a_run(folder, config, _):
    run_ablation([Experiment("a", None, config)], 1, folder.parents[1], progress=False)


def _demo(folder, config, _):
    (folder / "demo_finished").touch()  # it would begin anew
    run_demo(config, folder, folder.parent / "page", progress=False)


def _build(folder, *_):
    build("synthetic_street2shop", folder, overwrite=True, progress=False)


def _download(folder, *_):
    download("street2shop", folder.parent, OPTIONS, progress=False)


def _embed(folder, _, run):
    embed_catalogue(run, folder, progress=False)


WRITERS = {  # name of the lock, writer, what it does
    "train": (".train.lock", _train, "training the run in {}"),
    "ablation": (".ablation.lock", _ablation, "running the ablation in {}"),
    "a run of an ablation": (".train.lock", _ablation_of_a_run, "training the run in {}"),
    "demo": (".train.lock", _demo, "training the run in {}"),
    "data build": (
        ".synthetic_street2shop.lock",
        _build,
        "building synthetic_street2shop in {}",
    ),
    "data download": (".download_journal.jsonl.lock", _download, "downloading into {}"),
    "embed": (".host-0-of-1.lock", _embed, "embedding into {} as host 0"),
}


def place_of(name, tmp_path):
    folder = tmp_path / "a" / ("photos" if name == "data download" else "seed_0")
    folder.mkdir(parents=True)
    if name == "data download":
        write_links(tmp_path / "a", ["http://a.com/1"])
    return folder


class TestWriters:
    @pytest.mark.parametrize("name", WRITERS)
    def test_are_refused_before_they_change_anything(self, name, tiny_config, run, tmp_path):
        lock, write, doing = WRITERS[name]
        folder = place_of(name, tmp_path)
        if name != "embed":  # which refuses folders of something else
            (folder / "metrics.jsonl").write_text("")
        with held_by_a_process(folder / lock) as process:
            before = contents(folder)
            with pytest.raises(InUseError) as caught:
                write(folder, tiny_config, run)
            after = contents(folder)
        where = folder.parent / "images" if name == "data download" else folder
        assert str(caught.value).startswith(f"another process is {doing.format(where)}")
        assert f": process {process.pid} on {socket.gethostname()}, since 2" in str(caught.value)
        after.pop(folder / "plan.json", None)  # of embeddings: equal for all hosts
        after.pop(folder / "demo_finished", None)  # of the test
        assert after == before

    @pytest.mark.parametrize("name", WRITERS)
    @pytest.mark.parametrize("make", [pathlib.Path.mkdir, os.mkfifo])
    def test_name_a_lock_that_is_no_file(self, name, make, tiny_config, run, tmp_path):
        lock, write, _ = WRITERS[name]
        folder = place_of(name, tmp_path)
        make(folder / lock)
        with pytest.raises(FashionJaxError, match=rf"{re.escape(lock)} is not a regular file"):
            write(folder, tiny_config, run)

    def test_of_one_job_share_a_lock(self, tmp_path, monkeypatch):
        with sole_job(tmp_path / LOCK, "writing"):
            monkeypatch.setattr(jax, "process_index", lambda: 1)
            with sole_job(tmp_path / LOCK, "writing"):
                assert (tmp_path / LOCK).is_file()
            assert (tmp_path / LOCK).is_file()


def test_a_training_holds_its_run_from_the_first_line_to_the_last(tiny_config, tmp_path):
    mesh, steps, refused = make_mesh(tiny_config.mesh, jax.devices()[:1]), [], []

    def second(step, values):
        before = contents(tmp_path)
        with pytest.raises(InUseError, match=f"process {os.getpid()} on ") as caught:
            train(tiny_config, tmp_path, mesh, progress=False)
        refused.append(caught.value)
        steps.append(step)
        assert before.keys() >= {tmp_path / "config.json", tmp_path / ".train.lock"}

    training = dataclasses.replace(tiny_config.training, epochs=1, checkpoint_every_steps=0)
    config = dataclasses.replace(tiny_config, training=training)
    state = train(config, tmp_path, mesh, progress=False, log=second)
    assert steps[-1] == int(state.step) == len(set(steps))
    assert not (tmp_path / ".train.lock").exists()
    assert [error for error in refused if ", since " not in str(error)] == []


class TestEmbeddings:
    def test_other_hosts_go_on_and_their_unfinished_files_stay(self, run, tmp_path):
        def embed(*host):
            options = {"photos_per_shard": 5, "progress": False}
            return embed_catalogue(run, tmp_path, host=Host(*host), **options)

        with held_by_a_process(tmp_path / ".host-0-of-2.lock"):
            (tmp_path / UNFINISHED).write_bytes(b"half")
            assert embed(1, 2).made > 0
            with pytest.raises(InUseError, match="as host 0, and hosts need different numbers"):
                embed(0, 2)
            assert (tmp_path / UNFINISHED).exists()
        assert embed(0, 2).missing == []
        open_embeddings(tmp_path).embeddings()
        assert not (tmp_path / UNFINISHED).exists()

    def test_the_last_host_to_end_removes_what_killed_ones_left(self, run, tmp_path):
        options = {"photos_per_shard": 5, "progress": False}
        with held_by_a_process(tmp_path / ".host-0-of-2.lock"):
            (tmp_path / UNFINISHED).write_bytes(b"half")
            host_1 = Host(1, 2)
            assert embed_catalogue(run, tmp_path, host=host_1, **options).missing != []
            assert (tmp_path / UNFINISHED).exists()
        assert (tmp_path / ".host-0-of-2.lock").exists()
        assert embed_catalogue(run, tmp_path, **options).missing == []
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]

    @pytest.mark.slow
    def test_another_number_of_hosts_at_work_is_refused(self, run, tmp_path):
        options = {"photos_per_shard": 5, "progress": False}
        embed_catalogue(run, tmp_path, host=Host(0, 3), **options)
        with held_by_a_process(tmp_path / ".host-1-of-3.lock") as process:
            before = contents(tmp_path)
            expected = (
                "as host 1 of 3, and this one is host 0 of 2; --hosts has to be the same: process "
                f"{process.pid} on "
            )
            with pytest.raises(InUseError, match=expected):
                embed_catalogue(run, tmp_path, host=Host(0, 2), **options)
            assert contents(tmp_path) == before
        assert embed_catalogue(run, tmp_path, **options).missing == []

    @pytest.mark.parametrize("host", [Host(0, 2), Host(1, 2), Host(0, 1), Host(3, 5)])
    def test_another_number_changes_nothing(self, tmp_path, host):
        with joined(tmp_path, PLAN, Host(1, 3)):
            before = contents(tmp_path)
            expected = rf"of 3, and this one is host {host.index} of {host.count}; --hosts has"
            with pytest.raises(InUseError, match=expected), joined(tmp_path, PLAN, host):
                pass
            assert contents(tmp_path) == before

    @pytest.mark.parametrize(
        "hosts",
        [[Host(0, 2), Host(0, 3)], [Host(1, 2), Host(2, 3)], [Host(0, n) for n in range(1, 6)]],
    )
    def test_one_number_wins_when_several_begin_at_once(self, tmp_path, hosts):
        won, refused = at_once(tmp_path, [(PLAN, host) for host in hosts])
        (number,) = {host.count for _, host in won}
        assert len(won) == 1
        assert all(isinstance(error, InUseError) for error in refused)
        assert all(f"of {number}, and this one is" in str(error) for error in refused)
        assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]

    def test_one_plan_wins_when_two_begin_at_once(self, tmp_path):
        other = dataclasses.replace(PLAN, photos_per_shard=3)
        won, (error,) = at_once(tmp_path, [(PLAN, Host(0, 2)), (other, Host(1, 2))])
        assert isinstance(error, StorageError)
        assert "photos_per_shard: stored" in str(error)
        assert won[0][0] == read_plan(tmp_path)

    def test_hosts_of_one_number_begin_at_once(self, tmp_path):
        won, refused = at_once(tmp_path, [(PLAN, Host(index, 4)) for index in range(4)])
        assert (len(won), refused) == (4, [])

    def test_killed_hosts_of_another_number_do_not_count(self, tmp_path):
        with held_by_a_process(tmp_path / ".host-1-of-3.lock") as process:
            process.kill()
            process.wait()
            with joined(tmp_path, PLAN, Host(0, 2)):
                assert not (tmp_path / ".host-1-of-3.lock").exists()


PLAN = EmbeddingPlan("d", "1.0.0", "gallery", 9, "0", 2, CARD)


def at_once(folder, wanted):
    """Begin embeddings at one moment, each at work until all have begun or were refused."""
    ready, ended = threading.Barrier(len(wanted)), threading.Barrier(len(wanted))
    won, refused, left = [], [], list(wanted)

    def begin():
        plan, host = left.pop()
        ready.wait()
        try:
            with joined(folder, plan, host):
                won.append((plan, host))
                ended.wait(60)
        except FashionJaxError as error:
            refused.append(error)
            ended.wait(60)

    in_threads(len(wanted), begin)
    return won, refused


NARROW_CARD = dataclasses.replace(CARD, embedding_width=4)


def write_catalogue(folder):
    vectors = np.eye(4, dtype=np.float32)[:2]
    items = [Item(name, "1", "hats", "shop") for name in "ab"]
    return Catalogue.write(folder, vectors, items, [b"\xff\xd8\xff"] * 2, NARROW_CARD, "exact")


class TestCatalogues:
    @pytest.fixture
    def index(self, tmp_path):
        write_catalogue(tmp_path / "index")
        return tmp_path / "index"

    def test_a_change_waits_and_says_once_for_whom(self, index, caplog):
        caplog.set_level(logging.INFO)
        with held_by_a_process(index / storage.LOCK) as process:
            thread = threading.Thread(target=remove_photos, args=(index, ["a"]))
            thread.start()
            while not caplog.messages:
                thread.join(0.01)
            thread.join(0.3)  # two more attempts
            assert thread.is_alive()
            assert len(Catalogue.open(index)) == 2
            process.kill()
            thread.join()
        (message,) = caplog.messages
        expected = f"waiting: another process is changing {index}: process {process.pid} on "
        assert re.fullmatch(rf"{re.escape(expected)}{socket.gethostname()}, since {TIME}", message)
        assert len(Catalogue.open(index)) == 1
        assert not [path for path in index.iterdir() if path.name.startswith(".")]

    @pytest.mark.parametrize("change", [write_catalogue, compact])
    def test_every_change_waits(self, index, caplog, change):
        caplog.set_level(logging.INFO)
        remove_photos(index, ["a"])
        with held_by_a_process(index / storage.LOCK) as process:
            thread = threading.Thread(target=change, args=(index,))
            thread.start()
            while not caplog.messages:
                thread.join(0.01)
            process.kill()
            thread.join()
        assert len(Catalogue.open(index)) == (1 if change is compact else 2)

    def test_the_lock_outlasts_the_exchange_of_the_data(self, index):
        lock = index / storage.LOCK
        with open_for_change(index) as change:
            change.commit(change.without(np.array([0], np.int64), change.contents.manifest))
            with lock_if_free(lock) as free:
                assert not free
        with lock_if_free(lock) as free:
            assert free

    def test_a_file_is_locked_which_other_hosts_see(self, index):
        with (
            storage.locked(index),
            (index / storage.LOCK).open("r+b") as file,
            pytest.raises(BlockingIOError),
        ):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_that_are_read_only_are_read_and_searched(self, index, monkeypatch):
        def refuse(path, flags, *mode):
            if flags & (os.O_CREAT | os.O_RDWR | os.O_WRONLY):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return opened(path, flags, *mode)

        opened = os.open
        monkeypatch.setattr(os, "open", refuse)
        catalogue = Catalogue.open(index)
        ((hit,),) = catalogue.search(np.eye(4, dtype=np.float32)[:1], 1, NARROW_CARD)
        assert hit.item.photo_id == "a"
        assert catalogue_info(index).photos == 2
        with pytest.raises(FashionJaxError, match=r"cannot write to .*: Read-only file system"):
            remove_photos(index, ["a"])

    def test_what_killed_builders_left_is_no_catalogue(self, tmp_path):
        (tmp_path / "index" / ".index.partial-0123").mkdir(parents=True)
        for name in (storage.LOCK, ".index.partial-0123.lock", ".index.partial-0124.lock"):
            (tmp_path / "index" / name).write_text("process 1 on a-host, since yesterday")
        write_catalogue(tmp_path / "index")
        assert len(Catalogue.open(tmp_path / "index")) == 2

    def test_what_another_process_stages_stays(self, index):
        staging = index / ".index.partial-0123"
        staging.mkdir()
        with held_by_a_process(staging.with_name(f"{staging.name}.lock")) as process:
            remove_photos(index, ["a"])
            assert staging.is_dir()
            process.kill()
            process.wait()
            remove_photos(index, ["b"])
            assert not staging.exists()
