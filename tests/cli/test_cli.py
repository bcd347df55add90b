"""The command line: help, errors without tracebacks, JSON."""

import json
import subprocess
import sys

import pytest

from fashion_jax.cli import main, make_parser
from fashion_jax.experiments import demo
from tests.evaluation.test_result import of_products


@pytest.mark.parametrize(
    "words",
    [
        ["data", "check"],
        ["data", "build"],
        ["data", "download"],
        ["train"],
        ["evaluate"],
        ["cross-domain"],
        ["robustness"],
        ["index", "build"],
        ["index", "add"],
        ["index", "remove"],
        ["index", "info"],
        ["index", "tune"],
        ["index", "compact"],
        ["index", "reembed"],
        ["search"],
        ["demo"],
        ["embed"],
        *(["milvus", action] for action in ("build", "search", "info", "remove", "clean")),
    ],
    ids=" ".join,
)
def test_every_command_has_help(words, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main([*words, "--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: fashion-jax {' '.join(words)}")
    assert "None" not in text


def test_help_shows_all_commands():
    text = make_parser().format_help()
    for command in (
        "data",
        "train",
        "evaluate",
        "cross-domain",
        "index",
        "search",
        "demo",
        "embed",
        "milvus",
    ):
        assert f"fashion-jax {command}" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluate", "--workdir", "nowhere"], "no run in"),
        (["cross-domain", "--runs", "nowhere", "no", "--datasets", "x"], "problems: 2"),
        (["evaluate", "--workdir", "nowhere", "--unknown"], "unknown argument '--unknown'"),
        (
            ["train", "--config=demo", "--workdir=w", "--epochs=3"],
            "'--epochs=3' (did you mean --config.training.epochs=VALUE?); see fashion-jax train",
        ),
        (["evaluate", "--workdir", "w", "--config.a=1"], "unknown argument '--config.a=1'"),
        (["robustness", "--workdir", "nowhere"], "no run in"),
        (
            ["robustness", "--workdir", "w", "--corruptions", "light", "blurr"],
            "did you mean 'blur'",
        ),
        (["data", "check", "--dataset", "steet2shop"], "did you mean 'street2shop'"),
        (["data", "check", "--dataset", "street2shop", "--manual_dir", "/nowhere"], "/nowhere"),
        (["train", "--config=configs/none.py", "--workdir=w"], "no config file"),
        (["search", "photo.jpg", "--workdir", "nowhere"], "no photo"),
        (["index", "build", "--workdir", "nowhere"], "no run in"),
        (["index", "add", "--workdir", "w"], "name what to add"),
        (["index", "add", "--workdir", "w", "--photos", "no"], "no photo and no folder at"),
        (["index", "add", "--workdir", "w", "--photos", "a", "--split", "s"], "name what to add"),
        (["index", "add", "--workdir", "w", "--photos", "a", "b", "--list", "l"], "one directory"),
        (["index", "remove", "--index", "nowhere"], "name what to remove"),
        (["index", "remove", "--index", "nowhere", "--photo_id", "a"], "is not a catalogue"),
        (["index", "remove", "--index", "nowhere", "--from", "a"], "No such file"),
        (["index", "info"], "name the index"),
        (["index", "info", "--workdir", "nowhere"], "nowhere/index is not a catalogue"),
        (["index", "tune", "--index", "nowhere"], "is not a catalogue"),
        (["index", "tune", "--index", "nowhere", "--split", "query"], "--split needs --workdir"),
        (["index", "tune", "--index", "nowhere", "--dataset", "d"], "need --split"),
        (["index", "compact", "--index", "nowhere"], "is not a catalogue"),
        (["index", "reembed", "--workdir", "nowhere"], "no run in"),
        (["index", "reembed", "--workdir", "w", "--photos", "nowhere"], "is not a folder"),
        (["index", "compact", "--index", "nowhere", "--x"], "see fashion-jax index compact --help"),
        (["embed", "--workdir", "nowhere", "--output", "o"], "no run in"),
        (["embed", "--workdir", "w", "--output", "o", "--hosts", "2"], "belong together"),
        (
            ["milvus", "info", "--uri", "a.db", "--collection", "a-b"],
            "a collection's name consists of",
        ),
        (["milvus", "info", "--uri", "no.db", "--collection", "a"], "no Milvus database at"),
        (
            ["milvus", "build", "--uri", "no.db", "--collection", "a", "--embeddings", "no"],
            "is not a folder of embeddings",
        ),
    ],
)
def test_errors_are_one_message_and_status_2(arguments, message, capsys):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("fashion-jax: ")
    assert "Traceback" not in captured.err


def test_wrong_field_is_refused_with_the_nearest(tmp_path, capsys):
    config = tmp_path / "c.py"
    config.write_text("from fashion_jax.config import default_config as get_config\n")
    arguments = [
        "train",
        f"--config={config}",
        f"--workdir={tmp_path}/w",
        "--config.loss.triplet_margn=1",
    ]
    assert main(arguments) == 2
    assert "did you mean 'loss.triplet_margin'" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()


def test_build_of_some_splits_as_json(tmp_path, capsys):
    from tests.dummy_data.street2shop import write_dummy_data

    write_dummy_data(tmp_path / "raw")
    arguments = ["data", "build", "--dataset", "street2shop", "--manual_dir", f"{tmp_path}/raw"]
    arguments += ["--data_dir", f"{tmp_path}/data", "--splits", "query", "gallery", "--json"]
    assert main(arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report["splits"]) == {"query", "gallery"}
    assert report["photos"]["expected"] == report["photos"]["found"] + report["photos"]["missing"]


def test_the_demo_prints_its_result(monkeypatch, capsys):
    measured = of_products(3, 4)
    monkeypatch.setattr(demo, "run_demo", lambda config, workdir, report: measured)
    assert main(["demo", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == measured.metrics()
    assert main(["demo"]) == 0
    assert capsys.readouterr().out == measured.to_table() + "\n"


def test_a_late_interrupt_has_nothing_to_interrupt():
    code = (
        "import os, signal, sys; from fashion_jax.cli import main; "
        "sys.argv = ['fashion-jax', 'index', 'info', '--index', 'none']; print(main()); "
        "os.kill(os.getpid(), signal.SIGINT); print('quiet')"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ran.stdout, ran.returncode) == ("2\nquiet\n", 0)
    assert "Traceback" not in ran.stderr
