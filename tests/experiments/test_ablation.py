"""Ablations: tables, failures, and resumption."""

import dataclasses
import json

import numpy as np
import pytest

from fashion_jax.config import (
    Experiment,
    ExperimentConfig,
    MeshConfig,
    TrainingConfig,
)
from fashion_jax.experiments import ablation
from fashion_jax.experiments.ablation import AblationResult, mean_and_deviation, run_ablation
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.training.loop import NonFiniteLossError, train
from tests.models.backbones.tiny import TINY


def test_mean_and_deviation_by_hand():
    assert mean_and_deviation([0.5]) == "0.5000"
    assert mean_and_deviation([0.1, 0.2, 0.6]) == "0.3000 ± 0.2646"  # sqrt(0.14 / 2)


def result_of(*values: float) -> list[dict[str, float]]:
    return [dict.fromkeys(ablation.SHOWN, value) | {"minutes": 2.0} for value in values]


def test_table_compares_with_the_variant_below():
    config = ExperimentConfig()
    variants = [
        Experiment("a", None, config),
        Experiment("b", "a", config),
        Experiment("c", "a", config),
    ]
    runs = {"a": result_of(0.2, 0.4), "b": result_of(0.3, 0.4), "c": result_of(0.5)}
    rows = AblationResult(variants, runs).to_table().splitlines()
    assert "0.3500 ± 0.0707" in rows[3]
    assert "+0.0500" in rows[3]
    assert "+0.3000" in rows[4]  # of the one seed that both have


def test_a_failed_run_is_told_and_not_averaged():
    config = ExperimentConfig()
    variants = [
        Experiment("a", None, config),
        Experiment("b", "a", config),
        Experiment("c", "b", config),
    ]
    failed = {"failed": "loss/total = nan"}
    runs = {"a": result_of(0.2, 0.4), "b": [*result_of(0.3), failed], "c": [failed, failed]}
    rows = AblationResult(variants, runs).to_table().splitlines()
    assert "1 of 2" in rows[3]
    assert "+0.1000" in rows[3]
    assert "0 of 2" in rows[4]
    assert "failed" in rows[4]


def test_a_run_that_blows_up_does_not_stop_the_ablation(tiny_config, tmp_path, monkeypatch):
    def blow_up(config, workdir, progress):
        raise NonFiniteLossError("step 3: loss/total = nan")

    monkeypatch.setattr(ablation, "train", blow_up)
    longer = dataclasses.replace(tiny_config, training=TrainingConfig(epochs=9))
    reranked = dataclasses.replace(
        longer, evaluation=dataclasses.replace(longer.evaluation, rerank=True)
    )
    variants = [
        Experiment("a", None, tiny_config),
        Experiment("b", "a", longer),
        Experiment("c", "b", reranked),
    ]
    found = run_ablation(variants, 1, tmp_path, progress=False)
    assert found.runs["b"] == found.runs["c"] == [{"failed": "step 3: loss/total = nan"}]


@pytest.mark.slow
def test_runs_every_seed_once_and_goes_on(tiny_config, tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", TINY)
    model = dataclasses.replace(tiny_config.model, backbone="tiny", pretrained="none")
    training = TrainingConfig(epochs=1, log_every_steps=1)
    mesh = MeshConfig(data=-1)
    config = dataclasses.replace(tiny_config, model=model, training=training, mesh=mesh)
    softer = dataclasses.replace(config, loss=dataclasses.replace(config.loss, triplet_margin=None))
    reranked = dataclasses.replace(
        softer, evaluation=dataclasses.replace(config.evaluation, rerank=True)
    )
    variants = [
        Experiment("hard", None, config),
        Experiment("soft margin", "hard", softer),
        Experiment("re-ranking", "soft margin", reranked),
    ]
    first = run_ablation(variants, 1, tmp_path, progress=False)
    trained = []

    def counted(config, workdir, progress):
        trained.append(workdir)
        return train(config, workdir, progress=progress)

    monkeypatch.setattr(ablation, "train", counted)
    both = run_ablation(variants, 2, tmp_path, progress=False)
    assert trained == [tmp_path / "hard" / "seed_1", tmp_path / "soft_margin" / "seed_1"]
    measured_twice = both.runs["re-ranking"][1], both.runs["soft margin"][1]
    assert measured_twice[0]["instance/mAP"] != measured_twice[1]["instance/mAP"]
    assert measured_twice[0]["minutes"] == measured_twice[1]["minutes"]
    assert "centroid/mAP" not in measured_twice[0]
    assert both.runs["hard"][0] == first.runs["hard"][0]
    assert both.runs["hard"][0] != both.runs["hard"][1]
    stored = json.loads((tmp_path / "ablation.json").read_text())
    assert len(stored["soft margin"]["runs"]) == 2
    assert stored["soft margin"]["on"] == "hard"
    assert (tmp_path / "ablation.md").read_text() == both.to_table() + "\n"
    assert all(np.isfinite(value) for run in both.runs["hard"] for value in run.values())
