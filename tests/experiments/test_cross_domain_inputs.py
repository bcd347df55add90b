"""Everything missing for a matrix is reported at once, before anything is embedded."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from fashion_jax.config import store_config
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.errors import FashionJaxError
from fashion_jax.experiments import cross_domain_inputs
from fashion_jax.experiments.cross_domain_inputs import open_runs
from fashion_jax.inference.checkpoints import StoredCheckpoints

NAME = "synthetic_street2shop"


@pytest.fixture
def make_run(tiny_config, tmp_path, monkeypatch):
    """Make workdirs that look as if they had a checkpoint, and may say where their data lies."""
    with_checkpoint = set()

    class Listed(StoredCheckpoints):
        def best_step(self):
            return 1 if self.directory.parent.name in with_checkpoint else super().best_step()

    monkeypatch.setattr(cross_domain_inputs, "StoredCheckpoints", Listed)

    def make(name, checkpoint=True, data_dir=None):
        workdir = tmp_path / name
        data = tiny_config.data
        data = dataclasses.replace(data, data_dir=str(data_dir or data.data_dir))
        workdir.mkdir(parents=True)
        store_config(dataclasses.replace(tiny_config, data=data), workdir / "config.json")
        if checkpoint:
            with_checkpoint.add(workdir.name)
        return str(workdir)

    return make


@pytest.fixture
def copied_data(tiny_data_dir, tmp_path):
    """Another data_dir with a copy of the dataset, the same or changed."""
    folder = tmp_path / "data"
    shutil.copytree(tiny_data_dir / NAME, folder / NAME)
    return folder


def built_folder(data_dir):
    return next((data_dir / NAME).glob("[0-9]*"))


def test_everything_that_is_missing_is_listed(make_run, tmp_path):
    runs = [str(tmp_path / "nowhere"), make_run("fresh", checkpoint=False), make_run("good")]
    with pytest.raises(FashionJaxError) as error:
        open_runs(runs, [NAME, "market1501", "deepfashion2"], None)
    text = str(error.value)
    assert "nothing was embedded yet; problems: 4" in text
    for words in ("no run in", "no checkpoint in", "'market1501'", "'deepfashion2'"):
        assert sum(words in line for line in text.splitlines()) == 1


def test_datasets_are_looked_for_even_if_no_run_is_there(tmp_path):
    with pytest.raises(FashionJaxError, match=r"(?s)problems: 2\n.*no run in.*no built dataset"):
        open_runs([str(tmp_path / "nowhere")], ["market1501"], str(tmp_path))


@pytest.mark.parametrize(("runs", "datasets"), [([], [NAME]), (None, [])])
def test_nothing_named_is_an_error(make_run, runs, datasets):
    with pytest.raises(FashionJaxError, match="at least one run and one dataset"):
        open_runs([make_run("a")] if runs is None else runs, datasets, None)


def test_a_run_and_a_dataset_named_twice_are_opened_once(make_run):
    workdir = make_run("a")
    (opened,) = open_runs([workdir, workdir + "/", f"{workdir}/../a"], [NAME, NAME], None)
    assert opened.workdir == workdir
    assert list(opened.datasets) == [NAME]


def test_runs_share_an_opened_dataset(make_run):
    one, other = open_runs([make_run("a"), make_run("b")], [NAME], None)
    assert one.datasets[NAME] is other.datasets[NAME]


def test_data_lies_where_each_run_says_or_where_it_is_said(make_run, copied_data, tiny_data_dir):
    runs = [make_run("a"), make_run("b", data_dir=copied_data)]
    opened = open_runs(runs, [NAME], None)
    folders = [built_folder(tiny_data_dir), built_folder(copied_data)]
    assert [run.datasets[NAME].directory for run in opened] == [str(each) for each in folders]
    opened = open_runs(runs, [NAME], str(copied_data))
    assert [run.datasets[NAME].directory for run in opened] == [str(folders[1])] * 2


def test_different_builds_of_a_dataset_are_refused(make_run, copied_data):
    open_dataset(NAME, copied_data).split("query")  # stores its columns next to the data
    columns = built_folder(copied_data) / "columns_query.npz"
    stored = dict(np.load(columns))
    stored["photo_id"] = stored["photo_id"][::-1]
    np.savez(columns, **stored)
    runs = [make_run("a"), make_run("b", data_dir=copied_data)]
    with pytest.raises(FashionJaxError, match=f"different builds of {NAME}.*--data_dir"):
        open_runs(runs, [NAME], None)
    assert len(open_runs(runs, [NAME], str(copied_data))) == 2


def test_a_dataset_with_nothing_to_find_is_refused(make_run, copied_data):
    open_dataset(NAME, copied_data).split("query")  # stores its columns next to the data
    columns = built_folder(copied_data) / "columns_query.npz"
    stored = dict(np.load(columns))
    stored["identity"] = stored["identity"] + 1000
    np.savez(columns, **stored)
    with pytest.raises(FashionJaxError, match=r"none of the \d+ queries shows a product of"):
        open_runs([make_run("a")], [NAME], str(copied_data))


def test_a_dataset_without_test_splits_is_refused(make_run, copied_data):
    info = built_folder(copied_data) / "dataset_info.json"
    values = json.loads(info.read_text())
    values["splits"] = [split for split in values["splits"] if split["name"] != "gallery"]
    info.write_text(json.dumps(values))
    with pytest.raises(FashionJaxError, match="no split 'gallery'"):
        open_runs([make_run("a")], [NAME], str(copied_data))


def test_runs_have_short_names_unless_two_have_the_same(make_run):
    workdirs = [make_run("x/a"), make_run("y/a"), make_run("b")]
    names = [run.name for run in open_runs(workdirs, [NAME], None)]
    assert names == [*workdirs[:2], "b"]
