import json
import shutil

import pytest
from fashion_jax.data_builders.street2shop.street2shop import Street2Shop

import fashion_jax.datasets.building.build as build_module
from fashion_jax.datasets.building.base import EmptySplitError
from fashion_jax.datasets.building.build import BuildError, build, builder_class, check
from fashion_jax.datasets.building.build_report import read_report
from fashion_jax.datasets.building.options import OptionError
from fashion_jax.errors import FashionJaxError
from fashion_jax.locks import InUseError


def built_dir(data_dir):
    return data_dir / "street2shop" / "1.0.0"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_report_lies_beside_the_data(built):
    data_dir, report = built
    assert read_report(built_dir(data_dir)) == report
    stored = json.loads((built_dir(data_dir) / "build_report.json").read_text())
    assert stored["photos"]["found"] == 140
    assert stored["categories"]["hats"]["splits"]["train"]["photos"] > 0
    assert stored["options"]["longest_side"] == 512


def test_nothing_else_is_left(built):
    data_dir, _ = built
    visible = [name for name in names(data_dir) if not name.startswith(".")]
    assert visible == ["street2shop"]
    assert names(data_dir / "street2shop") == ["1.0.0"]


def test_tfds_reads_it(built):
    import warnings

    import tensorflow_datasets as tfds

    data_dir, report = built
    with warnings.catch_warnings():
        # Protocol buffers call a function of TFDS's reader deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        builder = tfds.builder_from_directory(built_dir(data_dir))
        source = builder.as_data_source("query", decoders={"image": tfds.decode.SkipDecoding()})
        first = source[0]
    assert len(source) == report.counts["splits"]["query"]["photos"]
    assert first["photo_id"] == b"000000035"
    assert first["image"].startswith(b"\xff\xd8")
    assert first["camera"] == -1


def test_same_copy_gives_the_same_bytes(raw, built, tmp_path):
    data_dir, _ = built
    build("street2shop", tmp_path, raw, progress=False, threads=1)
    for path in built_dir(data_dir).glob("*.array_record*"):
        assert (built_dir(tmp_path) / path.name).read_bytes() == path.read_bytes()


def test_finished_dataset_is_left_alone(raw, built, monkeypatch):
    data_dir, report = built
    monkeypatch.setattr(build_module, "_prepare", lambda builder: pytest.fail("built again"))
    assert build("street2shop", data_dir, raw, progress=False) == report
    assert build("street2shop", data_dir, progress=False) == report


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"longest_side": 64}, r"longest_side 512 instead of 64.*--overwrite"),
        ({"splits": ["query"]}, r"splits \[.*\] instead of \['query'\].*--overwrite"),
        ({"manual_dir": "/elsewhere"}, r"manual_dir '.*' instead of '/elsewhere'"),
    ],
)
def test_finished_dataset_of_other_options_is_an_error(built, options, message):
    data_dir, _ = built
    with pytest.raises(BuildError, match=message):
        build("street2shop", data_dir, progress=False, **options)


def test_overwrite_replaces(raw, tmp_path):
    build("street2shop", tmp_path, raw, progress=False, splits=["query"])
    again = build("street2shop", tmp_path, raw, progress=False, overwrite=True, longest_side=20)
    assert again.options["longest_side"] == 20
    assert len(again.options["splits"]) == 5
    assert read_report(built_dir(tmp_path)) == again


def test_failed_overwrite_keeps_what_was_there(raw, built, tmp_path, monkeypatch):
    data_dir, report = built
    copy = tmp_path / "data"
    shutil.copytree(data_dir, copy)
    monkeypatch.setattr(build_module, "_prepare", fail)
    with pytest.raises(KeyboardInterrupt):
        build("street2shop", copy, raw, overwrite=True, progress=False)
    assert read_report(built_dir(copy)) == report


def fail(builder):
    raise KeyboardInterrupt


def test_leftovers_of_a_killed_build_are_cleaned_away(raw, built, tmp_path):
    leftover = tmp_path / "street2shop" / ".building" / "street2shop" / "1.0.0.incompleteABC"
    leftover.mkdir(parents=True)
    (leftover / "half-written").write_bytes(b"x")
    assert build("street2shop", tmp_path, raw, progress=False) == built[1]
    assert names(tmp_path / "street2shop") == ["1.0.0"]


def test_second_build_at_the_same_time_is_refused(raw, tmp_path):
    with (
        build_module._sole_build(tmp_path, "street2shop"),
        pytest.raises(InUseError, match="another process is building street2shop"),
    ):
        build("street2shop", tmp_path, raw, progress=False)


def test_dataset_without_report_asks_for_overwrite(raw, tmp_path):
    built_dir(tmp_path).mkdir(parents=True)
    with pytest.raises(BuildError, match=r"no readable build report.*--overwrite"):
        build("street2shop", tmp_path, raw, progress=False)


def test_data_dir_that_is_a_file(raw, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildError, match="cannot write to data_dir"):
        build("street2shop", tmp_path / "file", raw, progress=False)


@pytest.fixture
def only_for_testing(raw, tmp_path):
    """A copy of which the training pairs are empty."""
    folder = tmp_path / "raw"
    shutil.copytree(raw, folder)
    for path in folder.glob("meta/json/train_pairs_*.json"):
        path.write_text("[]")
    return folder


def test_empty_split_is_fatal(only_for_testing, tmp_path):
    message = r"split train, val_query, val_gallery has no photo.*--splits query gallery"
    with pytest.raises(EmptySplitError, match=message):
        build("street2shop", tmp_path / "data", only_for_testing, progress=False)
    assert not (tmp_path / "data" / "street2shop").exists()


def test_other_splits_can_be_asked_for(only_for_testing, tmp_path):
    report = build(
        "street2shop",
        tmp_path / "data",
        only_for_testing,
        splits=("gallery", "query"),
        progress=False,
    )
    assert list(report.counts["splits"]) == ["query", "gallery"]
    assert report.counts["splits"]["query"]["photos"] == 12
    assert report.counts["val_queries_without_match"] is None


def test_check_reports_empty_splits(only_for_testing):
    report = check("street2shop", only_for_testing, progress=False)
    assert report.counts["splits"]["train"] == {"photos": 0, "identities": 0}
    assert "EMPTY SPLITS, refused by a build: train, val_query" in report.to_table()


def test_split_of_undecodable_photos_is_empty_as_well(raw, tmp_path):
    folder = tmp_path / "raw"
    shutil.copytree(raw, folder)
    for path in folder.glob("meta/json/test_pairs_*.json"):
        for row in json.loads(path.read_text()):
            for photo in folder.glob(f"[ip]*/{row['photo']:09d}*"):
                photo.write_bytes(b"<html>")
    with pytest.raises(EmptySplitError, match="split query has no usable photo"):
        build("street2shop", tmp_path / "data", folder, progress=False)
    assert not (tmp_path / "data" / "street2shop").exists()


@pytest.mark.parametrize("splits", [["test"], []])
def test_wrong_splits(raw, tmp_path, splits):
    with pytest.raises(FashionJaxError, match="the splits are train, query, gallery"):
        build("street2shop", tmp_path, raw, splits=splits, progress=False)


def test_wrong_dataset():
    with pytest.raises(BuildError, match=r"'street2shp'.*did you mean 'street2shop'"):
        builder_class("street2shp")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"longest_sid": 4}, r"unknown builder option 'longest_sid'.*did you mean 'longest_side'"),
        ({"margin": "wide"}, "margin must be a number of at least 0, not 'wide'"),
        ({"margin": -0.1}, "margin must be a number of at least 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"longest_side": 0}, "longest_side must be a whole number in 1..65500, not 0"),
        ({"jpeg_quality": 101}, r"jpeg_quality must be a whole number in 1\.\.100, not 101"),
        (
            {"validation_fraction": 1.0},
            r"fraction must be a number in 0\.\.0\.9, not 1\.0",
        ),
    ],
)
def test_wrong_options(raw, options, message):
    with pytest.raises(OptionError, match=message):
        check("street2shop", raw, progress=False, **options)


def test_it_is_a_normal_tfds_builder(raw, tmp_path, built):
    import tensorflow_datasets as tfds

    builder = Street2Shop(data_dir=tmp_path, progress=False)
    config = tfds.download.DownloadConfig(manual_dir=raw, try_download_gcs=False)
    builder.download_and_prepare(download_config=config)
    assert read_report(built_dir(tmp_path)) == built[1]
    assert builder.info.splits["gallery"].num_examples == 34
