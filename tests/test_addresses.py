"""Data at gs:// and s3:// addresses, on local servers of each kind."""

import contextlib
import dataclasses
import functools
import itertools
import json
import logging
import pathlib
import shutil

import fsspec
import jax
import numpy as np
import pytest

import fashion_jax as fj
from fashion_jax import addresses
from fashion_jax.addresses import AddressError, address_of, local_copy, publish, working_copy
from fashion_jax.cli import main
from fashion_jax.datasets.dataset import DatasetNotFoundError, open_dataset
from fashion_jax.datasets.photos import encode_jpeg
from fashion_jax.experiments.demo import run_demo
from fashion_jax.files import StorageError
from fashion_jax.parallel.hosts import Host
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.retrieval.catalogue import Catalogue, Item
from fashion_jax.retrieval.catalogue.info import catalogue_info
from fashion_jax.retrieval.embedding_shards import open_embeddings
from fashion_jax.serving.bulk_embedding import embed_catalogue
from fashion_jax.serving.server import live_catalogue
from fashion_jax.serving.server.live_catalogue import LiveCatalogue
from fashion_jax.training.convert_weights import convert_weights
from fashion_jax.training.loop import train
from fashion_jax.training.metrics_log import read_metrics
from tests.buckets import SERVERS, make_bucket
from tests.conftest import TINY_DATASET
from tests.e2e.untrained_run import write_untrained_run
from tests.inference.cards import CARD

# Libraries behind fsspec, which close their connections when the process ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
NUMBERS = itertools.count()
JPEG = encode_jpeg(np.zeros((4, 4, 3), np.uint8), 90)


@pytest.fixture(scope="module", params=["gs", "s3"])
def bucket(request):
    """The address of a bucket, with the environment that leads there."""
    with SERVERS[request.param]() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield make_bucket(request.param)


@pytest.fixture
def place(bucket):
    """An address that no other test uses."""
    return f"{bucket}/folder-{next(NUMBERS)}"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Work on one machine until `machine("b")`: each has working copies of its own."""

    def use(name):
        monkeypatch.setenv(addresses.CACHE, str(tmp_path / "machines" / name))

    use("a")
    return use


@pytest.fixture
def one_device(tiny_config):
    return make_mesh(tiny_config.mesh, jax.devices()[:1])


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def contents(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def stored(place):
    """Objects at an address, by name below it."""
    scheme, _, root = place.partition("://")
    storage = fsspec.filesystem(scheme)
    storage.invalidate_cache()
    return {
        name.removeprefix(f"{root}/"): storage.cat_file(name).decode(errors="replace")
        for name in storage.find(root)
    }


@contextlib.contextmanager
def meanwhile(place, machine, **files):
    """A working copy on machine a, in which another machine writes before it is uploaded."""
    with working_copy(place) as folder:
        yield folder
        machine("b")
        with working_copy(place) as other:
            write(other, **files)
        machine("a")


class TestWorkingCopies:
    def test_what_one_machine_writes_another_one_reads(self, place, machine):
        with working_copy(place) as folder:
            write(folder, a="1", data__b="2", **{".hidden": "3"})
            assert address_of(folder) == place
        assert stored(place) == {"a": "1", "data/b": "2"}
        machine("b")
        with working_copy(place) as folder:
            assert contents(folder) == {"a": "1", "data/b": "2"}
            shutil.rmtree(folder / "data")
            write(folder, a="longer", c="4")
        assert stored(place) == {"a": "longer", "c": "4"}
        machine("a")
        copied = local_copy(place)
        assert contents(copied) == {".hidden": "3", "a": "longer", "c": "4"}
        assert not (copied / "data").exists()

    def test_only_what_is_new_travels(self, place, caplog):
        with working_copy(place) as folder:
            write(folder, a="1", b="2")
        caplog.set_level(logging.INFO, "fashion_jax")
        local_copy(place)
        assert "copying" not in caplog.text
        (folder / "b").unlink()
        assert contents(local_copy(place)) == {"a": "1", "b": "2"}
        assert "copying 1 files (1 bytes)" in caplog.text

    def test_a_cleaned_cache_removes_nothing_there(self, place):
        with working_copy(place) as folder:
            write(folder, a="1", b="2")
        shutil.rmtree(folder)
        with working_copy(place, lambda name: name == "a"):
            pass
        publish(folder)
        assert stored(place) == {"a": "1", "b": "2"}

    def test_a_change_by_somebody_else_is_not_written_over(self, place, machine):
        with working_copy(place) as folder:
            write(folder, a="1")
        refused = pytest.raises(
            AddressError, match=r"changed by another .*: a\. Nothing was uploaded"
        )
        with refused, meanwhile(place, machine, a="theirs") as folder:
            write(folder, a="mine", b="mine")
        assert stored(place) == {"a": "theirs"}
        with working_copy(place) as folder:
            assert contents(folder)["a"] == "theirs"

    def test_hosts_that_write_the_same_do_not_disagree(self, place, machine):
        with meanwhile(place, machine, plan="the same") as folder:
            write(folder, plan="the same")
        assert stored(place) == {"plan": "the same"}

    def test_files_that_changed_here_stay_unless_they_are_to_be_mended(self, place):
        with working_copy(place) as folder:
            write(folder, a="1")
        write(folder, a="changed")
        assert contents(local_copy(place)) == {"a": "changed"}
        assert contents(local_copy(place, mend=True)) == {"a": "1"}

    def test_a_stopped_command_uploads_what_it_has(self, place):
        with contextlib.suppress(KeyboardInterrupt), working_copy(place) as folder:
            write(folder, a="1")
            raise KeyboardInterrupt
        assert stored(place) == {"a": "1"}

    def test_what_makes_files_valid_comes_last(self, place, monkeypatch):
        sent = []
        together = addresses._at_once
        monkeypatch.setattr(
            addresses, "_at_once", lambda each, names: sent.append(names) or together(each, names)
        )
        with working_copy(place) as folder:
            write(folder, **{"manifest.json": "m", "z": "1", "data__a": "2"})
        assert sent[:2] == [["data/a", "z"], ["manifest.json"]]

    def test_what_changes_meanwhile_is_copied_again(self, place, machine, monkeypatch):
        with working_copy(place) as folder:
            write(folder, a="1", b="1")
        machine("b")
        download = addresses._download

        def changing(storage, address, name):
            monkeypatch.setattr(addresses, "_download", download)
            download(storage, address, name)
            storage.pipe_file(f"{address.name_of('')}/a", b"22")
            storage.rm_file(f"{address.name_of('')}/b")

        monkeypatch.setattr(addresses, "_AT_ONCE", 1)
        monkeypatch.setattr(addresses, "_download", changing)
        assert contents(local_copy(place)) == {"a": "22"}

    def test_a_half_uploaded_checkpoint_is_no_checkpoint(self, bucket, place, machine):
        if bucket.startswith("gs://"):
            pytest.skip("Orbax itself writes these")
        with working_copy(place) as folder:
            write(folder, checkpoints__1__model="w", checkpoints__2__model="w")
            write(folder, checkpoints__2___CHECKPOINT_METADATA="m")
        assert stored(place).keys() == {"checkpoints/2/model", "checkpoints/2/_CHECKPOINT_METADATA"}

    def test_nothing_there(self, bucket):
        with pytest.raises(AddressError, match=r"/nowhere has no files: check its name"):
            local_copy(f"{bucket}/nowhere")
        scheme = bucket.split(":")[0]
        with pytest.raises(AddressError, match=r"://nobucket/a cannot be read: .*bucket exists"):
            local_copy(f"{scheme}://nobucket/a")


class Storage(fsspec.AbstractFileSystem):
    """A storage with one answer to every listing."""

    cachable = False

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def find(self, root, **options):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def test_refused_credentials_name_the_remedy(monkeypatch):
    refusing = Storage(PermissionError("Access Denied"))
    monkeypatch.setattr(addresses, "open_storage", lambda scheme: refusing)
    with pytest.raises(AddressError, match=r"s3://a/b cannot be read: Access Denied.*AWS_PROFILE"):
        local_copy("s3://a/b")
    with pytest.raises(AddressError, match=r"gs://a/b cannot be read: .*gcloud auth"):
        local_copy("gs://a/b")


@pytest.mark.parametrize("name", ["../../c", "d//c", "d/./c"])
def test_names_that_lead_elsewhere(monkeypatch, name):
    storage = Storage({f"a/b/{name}": {"type": "file", "size": 1, "etag": "1"}})
    monkeypatch.setattr(addresses, "open_storage", lambda scheme: storage)
    with pytest.raises(AddressError, match="no file can be called"):
        local_copy("s3://a/b")


@pytest.mark.parametrize("place", ["ftpx://a/b", "gs://a/../b", "s3://", "gs://a//b"])
def test_addresses_that_are_none(place):
    with pytest.raises(AddressError, match="not an address that can be used here; give gs://"):
        local_copy(place)


def test_pathlib_takes_a_slash_away():
    assert addresses.is_address(pathlib.Path("gs://a/b"))
    assert not addresses.is_address("runs/gs")
    assert str(addresses._Address.parse(pathlib.Path("s3://a/b/c"))) == "s3://a/b/c"


def test_where_only_a_folder_will_do(tiny_config):
    with pytest.raises(AddressError, match="gs://a/b is an address; --workdir has to be a local"):
        run_demo(tiny_config, "gs://a/b", "report")
    with pytest.raises(AddressError, match="--workdir has to be a local directory"):
        convert_weights("weights.pth", "s3://a/b", {})


def test_a_storage_without_its_package(monkeypatch):
    def missing(scheme, **settings):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(AddressError, match=r"pip install 'fashion-jax\[s3\]'"):
        local_copy("s3://a/b")


def test_a_run_from_dataset_to_search(
    place, tiny_config, tiny_data_dir, one_device, machine, tmp_path, capsys
):
    """Everything at addresses, and each step on a machine of its own."""
    data_dir, workdir, index = f"{place}/data", f"{place}/runs/a", f"{place}/catalogue"
    name = tiny_config.data.dataset
    fj.build(name, data_dir, progress=False, **TINY_DATASET)
    local = open_dataset(name, tiny_data_dir)
    machine("b")
    there = open_dataset(name, data_dir)
    assert there.fingerprint() == local.fingerprint()
    assert there.split("query").image_bytes(3) == local.split("query").image_bytes(3)

    # A run that is interrupted after its first checkpoint, and goes on elsewhere.
    training = dataclasses.replace(tiny_config.training, checkpoint_every_steps=0)
    config = dataclasses.replace(tiny_config, training=training)
    whole = train(config, tmp_path / "whole", one_device, progress=False)
    data = dataclasses.replace(config.data, data_dir=data_dir)
    config = dataclasses.replace(config, data=data)
    half = int(whole.step) // 2
    with pytest.raises(KeyboardInterrupt):
        train(config, workdir, one_device, progress=False, log=stopping_after(half + 1))
    names = stored(workdir).keys()
    assert {"config.json", "metrics.jsonl", "trained_on.json", "goodput.json"} <= names
    assert any(each.startswith(f"checkpoints/{half}/") for each in names)
    assert any(each.startswith("events/") for each in names)
    machine("c")
    resumed = train(config, workdir, one_device, progress=False)
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)
    steps = [line["step"] for line in read_metrics(local_copy(workdir))]
    assert steps == [line["step"] for line in read_metrics(tmp_path / "whole")]

    machine("d")
    embedded = embed_catalogue(workdir, f"{place}/embedded", photos_per_shard=20, progress=False)
    assert embedded.directory == f"{place}/embedded"
    machine("e")
    vectors = open_embeddings(f"{place}/embedded").embeddings()
    gallery = local.split("gallery")
    model = fj.load_model(workdir)
    np.testing.assert_allclose(vectors, model.embed_split(gallery, progress=False), atol=1e-5)

    assert main(["index", "build", "--workdir", workdir, "--index", index, "--kind", "exact"]) == 0
    machine("f")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(gallery.image_bytes(0))
    capsys.readouterr()
    flags = ["--workdir", workdir, "--index", index, "--by", "photo", "--json"]
    assert main(["search", str(photo), *flags, "--picture", str(tmp_path / "p.png")]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert answers[0]["photo_id"] == str(gallery.photo_id[0])


def stopping_after(last):
    """A log that stops a run as Ctrl-C does."""

    def log(step, values):
        if step == last:
            raise KeyboardInterrupt

    return log


def photos(names):
    """Embeddings, items and thumbnails of a catalogue."""
    rows = np.random.default_rng(0).normal(size=(len(names), CARD.embedding_width))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return rows, [Item(name, "7", "dresses", "shop") for name in names], [JPEG] * len(names)


def test_a_catalogue_is_changed_at_one_machine_and_taken_up_at_another(place, machine, monkeypatch):
    Catalogue.write(place, *photos("abc"), CARD, "exact")
    machine("b")
    monkeypatch.setattr(live_catalogue, "SECONDS_BETWEEN_COPIES", 0)
    live = LiveCatalogue("shop", pathlib.Path(place), CARD)
    before = live.current
    machine("a")
    changed = fj.remove_photos(place, ["b"])
    assert changed.photos == 2
    machine("b")
    assert live.refresh()
    assert [item.photo_id for item in live.current.items] == ["a", "c"]
    assert [item.photo_id for item in before.items] == ["a", "b", "c"]
    assert not live.refresh()
    assert catalogue_info(place).photos == 2


def test_of_two_changes_at_once_one_is_refused(place, machine):
    Catalogue.write(place, *photos("abc"), CARD, "exact")
    refused = pytest.raises(AddressError, match=r"manifest\.json.*Nothing was uploaded")
    with refused, working_copy(place) as folder:
        fj.remove_photos(folder, ["a"])
        machine("b")
        fj.remove_photos(place, ["c"])
        machine("a")
    assert [item.photo_id for item in Catalogue.open(place).items] == ["a", "b"]


def test_a_dataset_is_away_while_another_one_takes_its_place(place, machine, monkeypatch):
    build = functools.partial(fj.build, "synthetic_street2shop", place, progress=False)
    build(**TINY_DATASET)
    seen = []
    upload = addresses._at_once

    def looking(each, names):
        seen.append([name for name in stored(place) if name.endswith("dataset_info.json")])
        return upload(each, names)

    monkeypatch.setattr(addresses, "_at_once", looking)
    build(overwrite=True, jpeg_quality=60, **TINY_DATASET)
    assert seen == [[], []]
    assert len([name for name in stored(place) if name.endswith("dataset_info.json")]) == 1
    machine("b")
    open_dataset("synthetic_street2shop", place).check()
    with pytest.raises(DatasetNotFoundError, match="no built dataset 'other'"):
        open_dataset("other", place)


def test_embeddings_of_two_hosts_at_one_address(place, tiny_config, tmp_path, machine):
    write_untrained_run(tiny_config, tmp_path / "run")
    made = []
    for number in (1, 0):
        machine(f"host {number}")
        host = Host(number, 2)
        made.append(
            embed_catalogue(tmp_path / "run", place, photos_per_shard=5, host=host, progress=False)
        )
    assert made[0].missing
    assert not made[1].missing
    machine("c")
    assert len(open_embeddings(place).embeddings()) == made[0].photos
    shard = next(name for name in stored(place) if name.endswith("00001.parquet"))
    storage = fsspec.filesystem(place.split(":")[0])
    storage.pipe_file(f"{place}/{shard}", b"0" * storage.info(f"{place}/{shard}")["size"])
    with pytest.raises(StorageError, match="--repair"):
        open_embeddings(place).embeddings()
    repaired = embed_catalogue(
        tmp_path / "run", place, photos_per_shard=5, repair=True, progress=False
    )
    assert list(repaired.repaired) == [shard]
    machine("d")
    assert len(open_embeddings(place).embeddings()) == made[0].photos
