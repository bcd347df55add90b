"""`fashion-jax data check` and `data build`."""

import io
import json

import pytest
from PIL import Image

from fashion_jax.cli import main


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(raw, *more):
    return main(["data", "check", "--dataset", "street2shop", "--manual_dir", str(raw), *more])


def test_options_and_splits_of_a_check(raw, here, capsys):
    arguments = [
        "--option.margin=0.25",
        "--option.seed=3",
        "--splits",
        "query",
        "gallery",
        "--json",
    ]
    assert check(raw, *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["options"]["margin"] == 0.25
    assert report["options"]["seed"] == 3
    assert set(report["splits"]) == {"query", "gallery"}
    assert report["published"]["shop_photos"]["published"] == 404_683


def test_options_of_a_build(raw, here, capsys):
    arguments = ["data", "build", "--dataset", "street2shop", "--manual_dir", str(raw), "--json"]
    arguments += ["--splits", "query", "--option.longest_side=20", "--option.jpeg_quality=80"]
    assert main(arguments) == 0
    options = json.loads(capsys.readouterr().out)["options"]
    assert (options["longest_side"], options["jpeg_quality"]) == (20, 80)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--option.longest_sid=5", "did you mean 'longest_side'?"),
        ("--option.longest_side=wide", "longest_side must be a whole number"),
        ("--option.threads=2", "unknown builder option 'threads'"),
        ("--option.margin", "unknown argument '--option.margin'"),
        ("--config.margin=1", "unknown argument '--config.margin=1'"),
        ("--margin=1", "unknown argument '--margin=1'"),
    ],
)
def test_wrong_options_are_refused(raw, here, capsys, argument, message):
    assert check(raw, argument) == 2
    assert message in capsys.readouterr().err


def test_other_commands_take_no_builder_options(here, capsys):
    assert main(["evaluate", "--workdir", "w", "--option.margin=1"]) == 2
    assert "unknown argument" in capsys.readouterr().err


@pytest.mark.parametrize("action", ["check", "build"])
def test_help_says_how_options_are_given(action, capsys):
    with pytest.raises(SystemExit):
        main(["data", action, "--help"])
    text = capsys.readouterr().out
    assert "--option.NAME=VALUE" in text
    assert "--splits" in text


def test_contact_sheet_lies_here_by_default(raw, here, capsys):
    assert check(raw, "--splits", "query") == 0
    captured = capsys.readouterr()
    assert "street2shop_crops.png" in captured.err
    assert "crops.png" not in captured.out
    picture = (here / "street2shop_crops.png").read_bytes()
    assert Image.open(io.BytesIO(picture)).format == "PNG"


def test_contact_sheet_elsewhere(raw, here):
    assert check(raw, "--splits", "query", "--contact_sheet", "a/b.png") == 0
    assert [path.name for path in here.iterdir()] == ["a"]
    assert (here / "a" / "b.png").exists()


def test_no_contact_sheet(raw, here, capsys):
    assert check(raw, "--splits", "query", "--contact_sheet", "none") == 0
    assert list(here.iterdir()) == []
    assert "crops" not in capsys.readouterr().err
