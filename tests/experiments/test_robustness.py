"""The whole measurement with a model that only looks at colours, on a few drawn queries."""

import dataclasses
import json
import pathlib
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import CONFIG_FILE, MeshConfig, store_config
from fashion_jax.datasets.corruptions import CORRUPTIONS, generator
from fashion_jax.datasets.corruptions.corrupted_split import CorruptedSplit
from fashion_jax.datasets.dataset import open_dataset
from fashion_jax.datasets.photos import decode_record
from fashion_jax.errors import FashionJaxError
from fashion_jax.evaluation.robustness_result import ACC_1, MAP
from fashion_jax.experiments import evaluate, robustness
from fashion_jax.experiments.robustness import measure_robustness, sample_rows
from fashion_jax.inference.embed import l2_normalise
from fashion_jax.inference.model import EmbeddingModel
from fashion_jax.metrics.labels import Labels
from fashion_jax.metrics.ranking import Ranking
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.reports.robustness_strips import chosen_rows
from tests.datasets.fakes import FakeSplit
from tests.inference import cards

CARD = dataclasses.replace(
    cards.CARD, backbone="colours", embedding_width=48, image_height=32, image_width=32
)


@jax.jit
def encode(variables, images):
    """Mean colours of a grid of 4×4 cells."""
    cells = images.astype(jnp.float32).reshape(-1, 4, 8, 4, 8, 3).mean(axis=(2, 4)) - 128.0
    return l2_normalise(cells.reshape(len(images), -1))


@pytest.fixture
def model(tiny_config, tmp_path, monkeypatch):
    """A "trained" model of colours, whose run is in tmp_path."""
    made = EmbeddingModel(tiny_config, CARD, encode, {}, make_mesh(MeshConfig()))
    store_config(tiny_config, tmp_path / CONFIG_FILE)
    for module in (robustness, evaluate):
        monkeypatch.setattr(module, "load_model", lambda workdir: made)
    return made


def test_the_whole_measurement(model, tmp_path, caplog):
    caplog.set_level("INFO", logger="fashion_jax")
    names = ["colour", "occlusion"]
    measured = measure_robustness(tmp_path, corruptions=names, progress=False)
    dataset = open_dataset("synthetic_street2shop", model.config.data.data_dir)
    queries, gallery = len(dataset.split("query")), len(dataset.split("gallery"))
    assert measured.embedded == gallery + queries * (1 + 2 * 5)
    assert f"{measured.embedded:,} photos to embed" in caplog.text
    assert (measured.queries, measured.all_queries) == (queries, queries)
    for result in measured.results:
        for curve in result.curves.values():
            assert curve.severities == (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
            assert len(curve.values) == 6
    colour = measured.results[0].curves[MAP]
    assert colour.values[-1] < colour.values[0]
    assert measured.report == tmp_path / "report" / "robustness" / "index.html"
    page = measured.report.read_text()
    assert page.count("<img ") == 2 * 3 * 6
    stored = json.loads((measured.report.parent / "robustness.json").read_text())
    assert stored == measured.to_json()


def test_clean_values_are_those_of_an_evaluation(model, tmp_path):
    evaluated = evaluate.evaluate_run(
        tmp_path, report=tmp_path / "r.html", progress=False
    ).metrics()
    measured = measure_robustness(tmp_path, corruptions=["jpeg"], progress=False)
    assert measured.clean() == {MAP: evaluated[MAP], ACC_1: evaluated[ACC_1]}


def test_a_sample_is_said_to_be_one_and_gives_the_same_again(model, tmp_path):
    def measure(seed):
        return measure_robustness(
            tmp_path, queries=5, corruptions=["light"], report=tmp_path, seed=seed, progress=False
        )

    first, again, other = measure(1), measure(1), measure(2)
    assert first.queries == 5
    assert "5 of " in first.to_table()
    assert "5 of " in (tmp_path / "index.html").read_text()
    assert first.results == again.results
    assert first.results != other.results


def test_another_dataset_has_a_page_of_its_own(model, tmp_path):
    own = pathlib.Path(model.config.data.data_dir) / "synthetic_street2shop"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "other").symlink_to(own)
    measured = measure_robustness(
        tmp_path, "other", str(tmp_path / "data"), 3, ["jpeg"], progress=False
    )
    assert measured.dataset == "other"
    assert measured.report == tmp_path / "report" / "other" / "robustness" / "index.html"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corruptions": ["blurr"]}, "did you mean 'blur'"),
        ({"dataset": "synthetic_street2shp"}, "did you mean .synthetic_street2shop"),
        ({"queries": 0}, "at least 1, got 0"),
        ({"workdir": "nowhere"}, "no run in"),
    ],
)
def test_what_cannot_be_measured_is_said(model, tmp_path, arguments, message):
    with pytest.raises(FashionJaxError, match=message):
        measure_robustness(**{"workdir": tmp_path, "progress": False, **arguments})
    assert not (tmp_path / "report").exists()


def test_sample_rows():
    np.testing.assert_array_equal(sample_rows(4, None, 0), [0, 1, 2, 3])
    np.testing.assert_array_equal(sample_rows(4, 9, 0), [0, 1, 2, 3])
    rows = sample_rows(1000, 50, 0)
    assert len(set(rows.tolist())) == 50
    assert (np.diff(rows) > 0).all()
    assert sample_rows(1000, 50, 1).tolist() != rows.tolist()


@pytest.mark.parametrize("wanted", [0, -3])
def test_a_sample_of_nothing_is_refused(wanted):
    with pytest.raises(FashionJaxError, match=f"at least 1, got {wanted}"):
        sample_rows(4, wanted, 0)


def test_corrupted_photos_are_those_of_the_corruption():
    split, blur = FakeSplit("query", 3), CORRUPTIONS["occlusion"]
    rows = np.array([7, 2])
    corrupted = CorruptedSplit(split, rows, blur, 0.6, seed=9)
    assert corrupted.photo_id.tolist() == ["query_0007", "query_0002"]
    assert corrupted.identity.tolist() == [1, 0]
    assert len(corrupted) == 2
    for row, source in enumerate(rows):
        clean = decode_record(split.image_bytes(source))
        rng = generator("occlusion", f"query_{source:04d}", 9)
        expected = blur.apply(clean, 0.6, rng)
        found = decode_record(corrupted.image_bytes(row))
        np.testing.assert_array_equal(found, expected)
        assert (found != clean).any()


def test_an_uncorrupted_photo_is_the_stored_one():
    split = FakeSplit("query", 2)
    clean = CorruptedSplit(split, np.array([3]))
    assert clean.image_bytes(0) == split.image_bytes(3)
    assert CorruptedSplit(split, np.array([3]), CORRUPTIONS["blur"]).image_bytes(
        0
    ) == split.image_bytes(3)


def test_a_corrupted_split_goes_to_worker_processes():
    split = CorruptedSplit(FakeSplit("query", 2), np.array([1, 5]), CORRUPTIONS["light"], 1.0)
    copy = pickle.loads(pickle.dumps(split))
    assert copy.image_bytes(1) == split.image_bytes(1)


def test_photos_shown_are_found_ones_of_different_categories():
    numbers = np.arange(6)
    categories = np.array(["hats", "tops", "bags", "bags", "belts", "bags"])
    ranking = Ranking(
        protocol="instance",
        ranks=np.array([9, 2, 1, 1, 1]),
        relevant=np.array([1, 1, 1, 1, 0, 1]),
        skip_reason=np.array(["", "", "", "", "no_match_in_gallery", ""]),
        queries=Labels(numbers, categories),
    )
    assert sorted(chosen_rows(ranking).tolist()) == [0, 1, 2]
    alike = dataclasses.replace(ranking.queries, category=np.full(6, "bags"))
    one_category = dataclasses.replace(ranking, queries=alike)
    assert sorted(chosen_rows(one_category).tolist()) == [2, 3, 5]
    without = dataclasses.replace(ranking, queries=Labels(numbers))
    assert sorted(chosen_rows(without).tolist()) == [2, 3, 5]
