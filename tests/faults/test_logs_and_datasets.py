"""Logs and built datasets: damage is named, and nothing is lost."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from fashion_jax.datasets.building import build as build_module
from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.building.build_report import read_report
from fashion_jax.datasets.built_files import DamagedDatasetError
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.losses import Objective
from fashion_jax.training import loop
from fashion_jax.training.metrics_log import METRICS_FILE, MetricsLog, read_metrics
from tests.conftest import TINY_DATASET

NAME = "synthetic_street2shop"
LINES = [{"step": step, "loss/total": 1.0 / step} for step in range(1, 6)]
WHOLE = "".join(json.dumps(line) + "\n" for line in LINES).encode()


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"\x00\x00\x00",
        b"\xff\xfe",
        b"null",
        b"[1, 2]",
        b'{"loss/total": 1.0}',
        b'{"step": "3"}',
        b'{"step": true}',
        b'{"step": 3.5}',
        b'{"step": 3} {"step": 4}',
        b"[" * 100_000,
        b"1" * 100_000,
    ],
    ids=lambda text: repr(text[:12]),
)
def test_a_damaged_line_of_the_log_is_named_and_nothing_is_lost(damaged, tmp_path):
    lines = WHOLE.split(b"\n")
    lines[2] = damaged
    path = tmp_path / METRICS_FILE
    path.write_bytes(b"\n".join(lines))
    for resume in (lambda: MetricsLog(tmp_path, 5), lambda: read_metrics(tmp_path)):
        with pytest.raises(FashionJaxError, match=r"line 3 of .*metrics\.jsonl is damaged"):
            resume()
        assert path.read_bytes() == b"\n".join(lines)


@pytest.mark.parametrize("tail", [b"", b"\0" * 4096], ids=["kill", "power"])
def test_a_log_may_end_anywhere(tail, tmp_path):
    """What a kill cut off is left out; a crashed machine may leave zeros in its place."""
    for length in range(len(WHOLE) + 1):
        (tmp_path / METRICS_FILE).write_bytes(WHOLE[:length] + tail)
        assert read_metrics(tmp_path) == LINES[: WHOLE[:length].count(b"\n")]


def test_a_log_without_its_checkpoints_is_not_begun_anew(tiny_config, tmp_path):
    def claim():
        loop._claim(tmp_path, tiny_config, Objective.from_config(tiny_config))

    claim()  # an empty workdir
    (tmp_path / METRICS_FILE).write_bytes(WHOLE)
    with pytest.raises(FashionJaxError, match=r"log of a run up to step 5, but no checkpoints/"):
        claim()
    assert (tmp_path / METRICS_FILE).read_bytes() == WHOLE
    (tmp_path / "checkpoints").mkdir()  # a run that was stopped before its first checkpoint
    claim()


@pytest.fixture
def dataset(tiny_data_dir, tmp_path):
    """A built dataset that may be damaged."""
    shutil.copytree(tiny_data_dir, tmp_path / "data")
    return tmp_path / "data"


def files_of(data_dir, pattern):
    return sorted((data_dir / NAME / "1.0.0").glob(pattern))


@pytest.mark.parametrize("split", ["train", "query", "val_gallery"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_dataset_that_was_cut_off_is_named(dataset, split, share):
    (path,) = files_of(dataset, f"*-{split}.array_record*")
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(DamagedDatasetError, match=f"split {split} in .*{path.name}.*--overwrite"):
        open_dataset(NAME, dataset).split(split)
    with pytest.raises(DamagedDatasetError, match=path.name):
        build(NAME, dataset, progress=False, **TINY_DATASET)


def test_a_file_of_another_split_or_none_is_named(dataset):
    query, gallery = (files_of(dataset, f"*-{s}.array_record*")[0] for s in ("query", "gallery"))
    shutil.copy(query, gallery)
    with pytest.raises(DamagedDatasetError, match=r"\d+ readable records of \d+"):
        open_dataset(NAME, dataset).split("gallery")
    query.unlink()
    with pytest.raises(DamagedDatasetError, match="is missing"):
        open_dataset(NAME, dataset).split("query")
    open_dataset(NAME, dataset).split("train")  # whole


@pytest.mark.parametrize("field", ["numBytes", "shardLengths"])
def test_counts_that_contradict_the_files_are_named(dataset, field):
    (path,) = files_of(dataset, "dataset_info.json")
    info = json.loads(path.read_text())
    info["splits"][0][field] = ["5"] if field == "shardLengths" else "196607"
    path.write_text(json.dumps(info))
    with pytest.raises(DamagedDatasetError, match=f"split {info['splits'][0]['name']} in .* of "):
        open_dataset(NAME, dataset).split(info["splits"][0]["name"])


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "of another split", "a folder"])
def test_stored_columns_that_are_no_use_are_read_anew(dataset, damage):
    expected = open_dataset(NAME, dataset).split("gallery").photo_id
    (path,) = files_of(dataset, "columns_gallery.npz")
    if damage == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif damage == "of another split":
        open_dataset(NAME, dataset).split("query")
        shutil.copy(path.with_name("columns_query.npz"), path)
    elif damage == "a folder":
        path.unlink()
        path.mkdir()
        (path / "x").touch()
    else:
        path.write_text("" if damage == "empty" else "columns")
    np.testing.assert_array_equal(open_dataset(NAME, dataset).split("gallery").photo_id, expected)


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(2))
def test_an_overwrite_that_is_interrupted_between_its_renames_keeps_the_old(
    dataset, monkeypatch, moment
):
    old = read_report(dataset / NAME / "1.0.0")
    rename, done = pathlib.Path.rename, []

    def interrupted(self, target):
        done.append(target)
        if len(done) == moment + 1:
            raise KeyboardInterrupt
        return rename(self, target)

    def publish(*places):
        monkeypatch.setattr(pathlib.Path, "rename", interrupted)
        try:
            real(*places)
        finally:
            monkeypatch.setattr(pathlib.Path, "rename", rename)

    real = build_module._publish
    monkeypatch.setattr(build_module, "_publish", publish)
    with pytest.raises(KeyboardInterrupt):
        build(NAME, dataset, progress=False, overwrite=True, **TINY_DATASET | {"distractors": 3})
    assert read_report(dataset / NAME / "1.0.0") == old
    assert [path.name for path in (dataset / NAME).iterdir()] == ["1.0.0"]


@pytest.mark.parametrize("new_is_there", [False, True])
def test_what_a_killed_overwrite_left_aside_is_put_back_or_cleared(dataset, new_is_there):
    """A kill leaves no time for anything: the next build finds the old dataset aside."""
    place, aside = dataset / NAME / "1.0.0", dataset / NAME / ".replaced"
    aside.mkdir()
    if new_is_there:
        shutil.copytree(place, aside / "1.0.0")
        (aside / "1.0.0" / "of the old one").touch()
    else:
        place.rename(aside / "1.0.0")
    build(NAME, dataset, progress=False, **TINY_DATASET)
    assert not aside.exists()
    assert not (place / "of the old one").exists()
    assert len(open_dataset(NAME, dataset).split("train")) > 0
