"""Disks that are full, read-only or elsewhere: one line, nothing half-written, nothing lost."""

import dataclasses
import errno
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import pytest

from fashion_jax import cli
from fashion_jax.cli.library_messages import leave_out_repetitions
from fashion_jax.cli.terminal import as_disk_error, disk_problem
from fashion_jax.datasets.building.build import BuildError, _refuse_mount_point, build
from fashion_jax.datasets.dataset import BuiltDataset
from fashion_jax.errors import FashionJaxError, UnwrittenResultError, keeping
from fashion_jax.evaluation.result import Evaluation, Evaluations
from fashion_jax.experiments import evaluate
from fashion_jax.files import writing
from fashion_jax.retrieval import storage
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.changes import add_photos, compact, remove_photos
from fashion_jax.serving import tune_index
from tests.inference import cards

JPEG = b"\xff\xd8\xff"
CARD = dataclasses.replace(cards.CARD, embedding_width=4)
ITEMS = [Item(str(number), "1", "hats", "shop") for number in range(4)]
NUMBERS = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO]


def _write(folder):
    vectors = np.eye(4, dtype=np.float32)
    return Catalogue.write(folder, vectors[:2], ITEMS[:2], [JPEG] * 2, CARD, "exact")


def _add(folder):
    return add_photos(folder, np.eye(4, dtype=np.float32)[2:], ITEMS[2:], [JPEG] * 2, CARD)


def _ids(folder):
    return [item.photo_id for item in Catalogue.open(folder).items]


CHANGES = {
    "build": _write,
    "add": _add,
    "remove": lambda folder: remove_photos(folder, ["0"]),
    "compact": lambda folder: compact(folder, "exact"),
}
SYNC, WRITE, RENAME, REPLACE = (
    (os, "fsync"),
    (pathlib.Path, "write_bytes"),
    (pathlib.Path, "rename"),
    (pathlib.Path, "replace"),
)
STEPS = [
    *(("build", step) for step in ((np, "save"), SYNC, WRITE, RENAME, REPLACE)),
    *(("add", step) for step in ((np, "save"), SYNC, WRITE, RENAME, REPLACE)),
    *(("remove", step) for step in (SYNC, WRITE, RENAME, REPLACE)),
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(("change", "step"), STEPS)
def test_a_change_that_a_disk_stops_leaves_the_old_index(
    change, step, number, tmp_path, monkeypatch
):
    index = tmp_path / "index"
    _write(index)
    before = {path.name for path in index.iterdir()}

    def fail(*arguments, **options):
        raise OSError(number, os.strerror(number))  # as `write` does, without a name

    with monkeypatch.context() as patch:
        patch.setattr(*step, fail)
        with pytest.raises(OSError, match=os.strerror(number)) as caught:
            CHANGES[change](index)
    assert disk_problem(caught.value).startswith(f"{index}: {os.strerror(number)}")
    assert before <= {path.name for path in index.iterdir()}
    assert _ids(index) == ["0", "1"]
    CHANGES[change](index)
    assert _ids(index) == {"build": ["0", "1"], "add": list("0123"), "remove": ["1"]}[change]
    assert not list(index.glob(".*"))
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_new_index_that_a_disk_stops_leaves_nothing(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError("5120 requested and 992 written")  # NumPy's words

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match="5120 requested") as caught:
            _write(tmp_path / "index")
    assert list(tmp_path.iterdir()) == []
    disk = as_disk_error(caught.value)
    assert (disk.errno, disk.filename) == (errno.ENOSPC, str(tmp_path / "index"))


@pytest.mark.parametrize(
    ("error", "place"),
    [
        (RuntimeError("I/O error: No space left on device (os error 28)"), "/the/target, that is"),
        (RuntimeError("writing /d/x: No space left on device"), "/d/x"),
        (OSError(errno.ENOSPC, "No space left on device"), "/the/target, that is"),
        (OSError(errno.ENOSPC, "No space left on device", "/d/x"), "/d/x"),
    ],
    ids=["a library's, unnamed", "a library's, named", "unnamed", "named"],
)
def test_what_was_written_is_named(error, place):
    with pytest.raises(type(error)) as caught, writing("/the/target, that is"):
        raise error
    assert disk_problem(as_disk_error(caught.value)).startswith(f"{place}: No space left")


def test_a_limit_on_file_sizes_is_one_line(tmp_path):
    script = (
        "import resource, sys; from fashion_jax.files import atomic_write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "from fashion_jax.cli.terminal import disk_problem\n"
        "try: atomic_write(sys.argv[1], bytes(10_000))\n"
        "except OSError as error: sys.exit(disk_problem(error))\n"
    )
    (tmp_path / "out").write_bytes(b"old")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"{tmp_path}/out: File too large")
    assert "ulimit -f" in done.stderr
    assert "free" not in done.stderr
    assert (tmp_path / "out").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


CHECKPOINT = """
import pathlib, resource, sys
from contextlib import closing
from fashion_jax import cli
from fashion_jax.training import convert_weights

def save(path, workdir, overrides):
    import jax.numpy as jnp
    import numpy as np
    from fashion_jax.training.checkpoints import Checkpoints
    from fashion_jax.training.state import TrainState
    from tests.inference.cards import CARD

    draw = np.random.default_rng(0).standard_normal
    params = {str(number): jnp.asarray(draw(2**18), jnp.float32) for number in range(8)}
    zero = jnp.zeros((), jnp.int32)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
    with closing(Checkpoints(pathlib.Path(workdir) / "checkpoints")) as checkpoints:
        checkpoints.save(TrainState(zero, params, {}, {}, {}, {}, zero), {}, CARD)

convert_weights.convert_weights = save
sys.exit(cli.main([*sys.argv[2:], "weights", "convert", "a.pth", f"--workdir={sys.argv[1]}"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("verbose", [False, True])
def test_a_checkpoint_that_a_disk_stops_is_one_line(verbose, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CHECKPOINT, str(tmp_path), *["--verbose"] * verbose],
        cwd=pathlib.Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    *others, last = done.stderr.splitlines()
    assert last.startswith(f"fashion-jax: {tmp_path}/checkpoints/")
    assert "File too large. Nothing is left half-written" in last
    assert ("Traceback (most recent call last):" in others) == verbose
    assert verbose or others == []
    assert done.returncode == 2


def test_other_messages_of_libraries_stay(caplog):
    leave_out_repetitions()
    logger = logging.getLogger("absl")
    logger.error("without an error")
    try:
        raise OSError(errno.ENOSPC, "full")
    except OSError:
        logger.exception("not from Orbax")
    assert [record.message for record in caplog.records] == ["without an error", "not from Orbax"]


@pytest.fixture
def other_disk(tmp_path):
    """A folder on another disk than `tmp_path`."""
    memory = pathlib.Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is missing or no disk of its own: no second disk to test with")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield pathlib.Path(folder)


def test_an_index_on_another_disk_is_built_and_changed_through_its_link(other_disk, tmp_path):
    place = tmp_path / "index"
    place.symlink_to(other_disk / "index")
    for name, ids in {"build": "01", "add": "0123", "remove": "123", "compact": "123"}.items():
        CHANGES[name](place)
        assert _ids(place) == list(ids)
    assert place.is_symlink()
    assert [path.name for path in other_disk.iterdir()] == ["index"]
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_dataset_is_built_and_replaced_on_another_disk_through_its_link(
    raw, other_disk, tmp_path
):
    (tmp_path / "street2shop").symlink_to(other_disk)
    options = {"splits": ["query"], "progress": False, "overwrite": True}
    for side in (16, 20):
        report = build("street2shop", tmp_path, raw, longest_side=side, **options)
        assert report.options["longest_side"] == side
    assert (tmp_path / "street2shop").is_symlink()
    assert [path.name for path in other_disk.iterdir()] == ["1.0.0"]


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """Makes folders that no rename enters, leaves or replaces, as those of a bind mount."""

    def mount(name):
        folder = tmp_path / name
        folder.mkdir()
        for name in ("rename", "replace"):
            monkeypatch.setattr(pathlib.Path, name, _bounded(getattr(pathlib.Path, name), folder))
        return folder

    return mount


def _bounded(move, folder):
    def moved(path, target):
        ends = (path, pathlib.Path(target))
        if folder in ends or len({folder in each.parents for each in ends}) == 2:
            number = errno.EBUSY if folder in ends else errno.EXDEV
            raise OSError(number, os.strerror(number), str(path), None, str(target))
        return move(path, target)

    return moved


@pytest.mark.parametrize("there", [[], ["lost+found"], ["data-0123456789abcdef", "lost+found"]])
def test_an_index_in_a_mount_point_is_built_and_changed(there, mount, tmp_path):
    index = mount("index")
    for name in there:
        (index / name).mkdir()
    for name, ids in {"build": "01", "add": "0123", "remove": "123", "compact": "123"}.items():
        CHANGES[name](index)
        assert _ids(index) == list(ids)
    left = {path.name for path in index.iterdir()} - {"lost+found", storage.MANIFEST}
    assert all(name in (index / storage.MANIFEST).read_text() for name in left)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def test_a_dataset_in_a_mount_point_is_built_and_replaced(raw, mount, tmp_path):
    own = mount("street2shop")
    options = {"splits": ["query"], "progress": False, "overwrite": True}
    for side in (16, 20):
        report = build("street2shop", tmp_path, raw, longest_side=side, **options)
        assert report.options["longest_side"] == side
    assert [path.name for path in own.iterdir()] == ["1.0.0"]
    assert [path.name for path in tmp_path.iterdir()] == ["street2shop"]


def test_a_version_that_is_a_mount_point_is_refused_before_the_build(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: pathlib.Path(path).name == "1.0.0")
    with pytest.raises(BuildError, match=r"1\.0\.0 is a mount point.* mount .*street2shop instead"):
        build("street2shop", tmp_path, raw, progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has bind mounts and lists them")
def test_mounts_of_the_same_disk_are_known_from_the_systems_list(monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: False)
    with pytest.raises(BuildError, match="/proc is a mount point"):
        _refuse_mount_point(pathlib.Path("/proc"))
    _refuse_mount_point(pathlib.Path("/proc/self"))


def test_a_build_that_fails_leaves_a_dataset_folder_that_was_there(raw, tmp_path):
    for was_there in (False, True):
        with pytest.raises(FashionJaxError):
            build("street2shop", tmp_path, raw / "photos", progress=False)
        assert (tmp_path / "street2shop").exists() == was_there
        (tmp_path / "street2shop").mkdir(exist_ok=True)
    assert list((tmp_path / "street2shop").iterdir()) == []


@pytest.mark.parametrize("name", ["notes", "data-mine", ".hidden", "data-0123456789abcdeg"])
def test_a_folder_that_holds_anything_else_is_taken(name, tmp_path):
    (tmp_path / "index" / name).mkdir(parents=True)
    with pytest.raises(storage.StorageError, match="exists already"):
        _write(tmp_path / "index")
    assert [path.name for path in (tmp_path / "index").iterdir()] == [name]


def test_a_file_that_looks_like_a_left_over_is_not_one(tmp_path):
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "data-0123456789abcdef").write_text("mine")
    with pytest.raises(storage.StorageError, match="exists already"):
        _write(tmp_path / "index")


def test_left_overs_of_folders_with_odd_names_are_found(tmp_path):
    (tmp_path / ".[a]*.partial-old").mkdir()
    (tmp_path / ".ax.partial-of_another").mkdir()
    with storage.staged(tmp_path / "[a]*"):
        names = sorted(path.name for path in tmp_path.iterdir())
    assert ".[a]*.partial-old" not in names
    assert ".ax.partial-of_another" in names


def _bare(cls, **fields):
    """An instance with a few fields alone."""
    instance = object.__new__(cls)
    for name, value in fields.items():
        object.__setattr__(instance, name, value)
    return instance


def test_measured_datasets_are_kept_when_a_report_cannot_be_written(monkeypatch):
    def measure(task, built, *_):
        result = _bare(Evaluation, dataset=built.name)
        if built.name == "second":
            with keeping(Evaluations([result]), "the report"):
                raise PermissionError(errno.EACCES, "Permission denied", "report/index.html")
        return result

    monkeypatch.setattr(evaluate, "_evaluate", measure)
    datasets = [_bare(BuiltDataset, name=name) for name in ("first", "second", "third")]
    with pytest.raises(UnwrittenResultError, match="the report cannot be written") as caught:
        evaluate._evaluate_all(_bare(evaluate._Task), datasets)
    assert [each.dataset for each in caught.value.result.results] == ["first", "second"]


def test_no_curve_is_drawn_where_none_is_wanted(tmp_path, monkeypatch, capsys):
    seen = []

    def tune(place, recall, k, count, queries, picture, draw):
        seen.append((picture, draw))
        return tune_index.TunedCatalogue(0, {}, [])

    monkeypatch.setattr(tune_index, "tune", tune)
    for flags in ([], ["--picture", "none"], ["--picture", "curve.png"]):
        assert cli.main(["index", "tune", f"--index={tmp_path}", *flags]) == 0
    assert [draw for _, draw in seen] == [True, False, True]
    assert [picture for picture, _ in seen][::2] == [None, "curve.png"]
