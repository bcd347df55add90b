"""Builds with Apache Beam: the same files as without it, byte by byte."""

import sys

import fsspec
import pytest

from fashion_jax.addresses import CACHE, local_copy
from fashion_jax.cli import main
from fashion_jax.datasets.building.beam_pass import BeamError, BeamPass
from fashion_jax.datasets.building.build import build
from fashion_jax.errors import FashionJaxError
from tests.beam import IN_THIS_PROCESS as HERE
from tests.beam import NO_BEAM
from tests.buckets import amazon_server, make_bucket
from tests.conftest import TINY_DATASET

DRAWN = {"dataset": "synthetic_street2shop", "progress": False, **TINY_DATASET}


@pytest.fixture
def beam():
    return pytest.importorskip("apache_beam", reason=NO_BEAM)


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A dataset that threads built."""
    folder = tmp_path_factory.mktemp("drawn")
    build(data_dir=folder, **DRAWN)
    return folder


def test_the_files_are_the_same(beam, drawn, tmp_path):
    build(data_dir=tmp_path, beam=HERE, **DRAWN)
    assert contents(tmp_path) == contents(drawn)


def test_damaged_photos_are_counted_the_same(beam, raw, tmp_path):
    places = {"manual_dir": raw, "progress": False}
    threads = build("street2shop", tmp_path / "threads", **places)
    beams = build("street2shop", tmp_path / "beam", beam=HERE, **places)
    assert beams == threads
    assert contents(tmp_path / "beam") == contents(tmp_path / "threads")


def test_workers_in_other_processes(beam, drawn, tmp_path):
    flags = ("direct_num_workers=2", "direct_running_mode=multi_processing")
    build(data_dir=tmp_path, beam=flags, **DRAWN)
    assert contents(tmp_path) == contents(drawn)


def test_workers_that_meet_at_an_address(beam, drawn, tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    with amazon_server() as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        place = f"{make_bucket('s3')}/data"
        build(data_dir=place, beam=HERE, **DRAWN)
        name = DRAWN["dataset"]
        assert contents(local_copy(f"{place}/{name}")) == contents(drawn / name)
        storage = fsspec.filesystem("s3")
        storage.invalidate_cache()
        assert not [each for each in storage.find("shop") if ".processed" in each]


def test_a_worker_that_fails_leaves_nothing(beam, tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the disk of a worker is full")

    monkeypatch.setattr("fashion_jax.datasets.building.beam_pass.process_photo", fail)
    with pytest.raises(BeamError, match=r"pipeline failed: .*the disk of a worker is full"):
        build(data_dir=tmp_path, beam=HERE, **DRAWN)
    assert contents(tmp_path) == {}


def test_wrong_options_of_beam(beam, tmp_path):
    with pytest.raises(BeamError, match=r"the Beam pipeline failed: .*NoSuchRunner"):
        build(data_dir=tmp_path, beam=["runner=NoSuchRunner"], **DRAWN)


def test_the_command(beam, drawn, tmp_path, capsys):
    options = [f"--option.{name}={value}" for name, value in TINY_DATASET.items()]
    flags = ["--dataset", DRAWN["dataset"], "--data_dir", str(tmp_path), "--beam_options", *HERE]
    assert main(["data", "build", *flags, *options]) == 0
    assert contents(tmp_path) == contents(drawn)


def test_results_that_do_not_arrive(tmp_path):
    with pytest.raises(BeamError, match="have to see the same folder as this machine"):
        list(BeamPass(str(tmp_path)).results("train", 0))


def test_without_beam_its_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(FashionJaxError, match=r"pip install 'fashion-jax\[beam\]'"):
        build(data_dir=tmp_path, beam=(), **DRAWN)
