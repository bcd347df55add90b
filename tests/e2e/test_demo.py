"""The whole way: build, train, index, search, evaluate, report; then the commands on that run."""

import contextlib
import dataclasses
import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from fashion_jax.cli import main
from fashion_jax.datasets.building.build import build
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.trained_on import read_trained_on
from fashion_jax.experiments.demo import run_demo
from fashion_jax.retrieval.catalogue import Catalogue
from tests.conftest import TINY_DATASET
from tests.dummy_data.street2shop import write_dummy_data

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory, tiny_config):
    """A finished demo of a tiny dataset and network: (folder, evaluation)."""
    folder = tmp_path_factory.mktemp("demo")
    config = dataclasses.replace(
        tiny_config,
        data=dataclasses.replace(tiny_config.data, data_dir=str(folder / "data")),
        mesh=dataclasses.replace(tiny_config.mesh, data=-1),
    )
    report = folder / "report"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        evaluation = run_demo(config, folder / "run", report, progress=False, **TINY_DATASET)
    (folder / "printed.txt").write_text(printed.getvalue())
    return folder, evaluation


def test_only_the_command_prints(demo):
    folder, _ = demo
    assert (folder / "printed.txt").read_text() == ""


def test_report_shows_trained_and_untrained(demo):
    folder, evaluation = demo
    page = (folder / "report" / "index.html").read_text()
    assert evaluation.report == folder / "report" / "index.html"
    assert evaluation.untrained is not None
    for rankings in (evaluation.rankings, evaluation.untrained):
        metrics = rankings["instance"].metrics()
        assert f"{metrics['instance/mAP']:.3f}" in page or f"{metrics['instance/mAP']:.4f}" in page
    assert "Searches through the ScaNN index" in page


def test_workdir_holds_what_the_design_says(demo):
    folder, _ = demo
    names = {path.name for path in (folder / "run").iterdir()}
    assert {"config.json", "checkpoints", "metrics.jsonl", "events", "index"} <= names


def test_what_the_records_were_built_with_is_named(demo):
    folder, _ = demo
    card = Catalogue.open(folder / "run" / "index").card
    assert card.train_sha256 == read_trained_on(folder / "run").train_sha256 != ""
    assert card.dataset_options["margin"] == "0.0"
    assert card.dataset_options["train_identities"] == str(TINY_DATASET["train_identities"])
    page = (folder / "report" / "index.html").read_text()
    assert "Build options" in page
    assert "<span>train_identities <b>12</b></span>" in page


def test_evaluate_prints_json_and_takes_another_dataset(demo, tmp_path, capsys):
    folder, evaluation = demo
    assert main(["evaluate", "--workdir", f"{folder}/run", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["metrics"] == pytest.approx(evaluation.metrics())
    assert printed["skipped_queries"]["instance"].keys() == {
        "no_match_in_gallery",
        "only_same_camera_matches",
        "only_itself_matches",
    }

    write_dummy_data(tmp_path / "raw")
    build("street2shop", tmp_path, tmp_path / "raw", ("query", "gallery"), progress=False)
    other = ["--dataset", "street2shop", "--data_dir", str(tmp_path)]
    assert main(["evaluate", "--workdir", f"{folder}/run", "--json", *other]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["dataset"] == "street2shop"
    assert printed["coverage"]["missing"] > 0
    assert (folder / "run" / "report" / "street2shop" / "index.html").exists()


def test_robustness_prints_json_and_writes_its_page(demo, tmp_path, capsys):
    folder, evaluation = demo
    arguments = ["--workdir", f"{folder}/run", "--report", str(tmp_path), "--json"]
    assert main(["robustness", *arguments, "--corruptions", "blur", "occlusion"]) == 0
    printed = json.loads(capsys.readouterr().out)
    metrics = evaluation.metrics()
    assert printed["clean"] == pytest.approx(
        {name: metrics[name] for name in ("instance/mAP", "instance/Acc@1")}
    )
    assert printed["corruptions"].keys() == {"blur", "occlusion"}
    assert json.loads((tmp_path / "robustness.json").read_text()) == printed
    assert "Robustness on synthetic_street2shop" in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize("kind", ["scann", "exact"])
def test_a_gallery_photo_finds_itself(demo, tmp_path, capsys, kind):
    folder, _ = demo
    index = tmp_path / "index"
    arguments = ["--workdir", f"{folder}/run", "--index", str(index)]
    assert main(["index", "build", *arguments, "--kind", kind]) == 0
    capsys.readouterr()
    gallery = open_dataset("synthetic_street2shop", folder / "data").split("gallery")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(gallery.image_bytes(3))
    picture = tmp_path / "answers.png"
    arguments += ["--k", "5", "--picture", str(picture), "--json"]
    assert main(["search", str(photo), *arguments]) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [answer["rank"] for answer in answers] == [1, 2, 3, 4, 5]
    best = answers[0]["photos"][0]
    assert best["photo_id"] == gallery.photo_id[3]
    assert answers[0]["score"] == pytest.approx(1.0, abs=2e-2)
    assert np.asarray(Image.open(picture)).std() > 10


def test_search_cuts_the_box_out(demo, tmp_path, capsys):
    folder, _ = demo
    gallery = open_dataset("synthetic_street2shop", folder / "data").split("gallery")
    pixels = cv2.imdecode(np.frombuffer(gallery.image_bytes(5), np.uint8), cv2.IMREAD_COLOR)
    height, width = pixels.shape[:2]
    scene = np.random.default_rng(0).integers(0, 256, (height + 90, width + 70, 3), dtype=np.uint8)
    scene[40 : 40 + height, 30 : 30 + width] = pixels
    photo = tmp_path / "scene.png"
    cv2.imwrite(str(photo), scene)
    arguments = ["search", str(photo), "--workdir", f"{folder}/run", "--json"]
    arguments += ["--picture", str(tmp_path / "p.png"), "--box", f"30,40,{width},{height}"]
    assert main(arguments) == 0
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert answers[0]["photos"][0]["photo_id"] == gallery.photo_id[5]


@pytest.mark.parametrize(
    ("content", "box", "message"),
    [
        (b"", None, "empty"),
        (b"<html>", None, "not"),
        (None, "1,2,3", "x,y,width,height"),
        (None, "1,2,nan,4", "x,y,width,height"),
        (None, "9000,9000,5,5", "outside"),
        (None, "5,5,0,9", "empty"),
    ],
)
def test_search_says_what_is_wrong(demo, tmp_path, capsys, content, box, message):
    folder, _ = demo
    gallery = open_dataset("synthetic_street2shop", folder / "data").split("gallery")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(gallery.image_bytes(0) if content is None else content)
    arguments = ["search", str(photo), "--workdir", f"{folder}/run"]
    arguments += ["--picture", str(tmp_path / "p.png")]
    assert main(arguments + (["--box", box] if box else [])) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "p.png").exists()
