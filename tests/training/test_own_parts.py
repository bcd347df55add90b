"""A term, an objective and a backbone of one's own, in steps and in whole runs."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import (
    ConfigError,
    DataConfig,
    ExperimentConfig,
    ImageConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    TrainingConfig,
)
from fashion_jax.inference.embed import without_classifier
from fashion_jax.inference.model import load_model
from fashion_jax.losses import Objective, batch_hard_triplet_loss
from fashion_jax.models.backbones import BACKBONES, UnknownBackboneError, register_backbone
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training import loop
from fashion_jax.training.learner import Learner, check_objective, make_learner
from fashion_jax.training.loop import train
from fashion_jax.training.metrics_log import read_metrics
from tests.models.backbones.tiny import TINY
from tests.training.own_parts import DropoutNet, NoDropoutNet, NoisyTriplet, uniformity

SIZE, CLASSES, BATCH = 32, 10, 16
TRIPLET = LossConfig(identity_weight=0.0, triplet_weight=1.0, center_weight=0.0)
NOTHING = dataclasses.replace(TRIPLET, triplet_weight=0.0)
CONFIG = ExperimentConfig(
    data=DataConfig(identities_per_batch=8, photos_per_identity=2),
    image=ImageConfig(SIZE, SIZE),
    model=ModelConfig(backbone="tiny"),
    loss=TRIPLET,
    optimizer=OptimizerConfig(weight_decay=0.0),
)


OWN = {"tiny": TINY, "dropout_net": DropoutNet, "no_dropout_net": NoDropoutNet}


@pytest.fixture(autouse=True)
def registered():
    for name, backbone in OWN.items():
        register_backbone(name, backbone)
    yield
    for name in OWN:
        BACKBONES.pop(name, None)


def batch(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "image": rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8),
        "erased": rng.integers(0, 10, (BATCH, 4)).astype(np.int32),
        "identity": np.repeat(rng.permutation(CLASSES)[:8], 2).astype(np.int32),
        "domain": np.tile(np.array([0, 1], np.int8), BATCH // 2),
        "valid": np.ones(BATCH, np.bool_),
    }


def learner_of(config: ExperimentConfig, objective=None, devices: int = 1) -> Learner:
    mesh = make_mesh(config.mesh, jax.devices()[:devices])
    return make_learner(config, CLASSES, 10, mesh, objective=objective)


def after(learner: Learner, steps: list[int]):
    state, history = learner.create_train_state(), []
    for step in steps:
        state, metrics = learner.train_step(state, global_batch(batch(step), learner.mesh))
        history.append({name: float(value) for name, value in metrics.items()})
    assert learner.train_step._cache_size() == 1, "the step was compiled again"
    return jax.tree.map(np.asarray, state), history


def own_triplet(features, embedding, batch):
    return batch_hard_triplet_loss(features, batch["identity"], where=batch["valid"])


@pytest.mark.slow
def test_an_own_term_trains_like_the_configs():
    """The triplet loss given as a term: every weight as by the config, but for rounding."""
    # Adam would take rounding for a gradient where there is none, as before a BatchNorm.
    config = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(name="sgd"))
    expected, lines = after(learner_of(config), [0, 1, 2])
    without = dataclasses.replace(config, loss=NOTHING)
    objective = Objective.from_config(without, {"own": (1.0, own_triplet)})
    found, history = after(learner_of(without, objective), [0, 1, 2])
    close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    jax.tree.map(close, found.params, expected.params)
    own = [line["loss/own"] for line in history]
    assert own == pytest.approx([line["loss/triplet"] for line in lines], rel=1e-6)


@pytest.mark.slow
def test_terms_are_added_with_their_weights():
    config = dataclasses.replace(CONFIG, loss=LossConfig(center_weight=0.5))
    terms = {"uniformity": (0.3, uniformity), "off": (0.0, own_triplet)}
    _, (line,) = after(learner_of(config, Objective.from_config(config, terms)), [0])
    names = {name.removeprefix("loss/") for name in line if name.startswith("loss/")} - {"total"}
    assert names == {"identity", "triplet", "center", "uniformity"}
    weights = {name: line[f"weight/{name}"] for name in names}
    assert weights == pytest.approx(
        {"identity": 1.0, "triplet": 1.0, "center": 0.5, "uniformity": 0.3}
    )
    total = sum(weight * line[f"loss/{name}"] for name, weight in weights.items())
    assert line["loss/total"] == pytest.approx(total, rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("microbatches", [1, 2])
def test_gradients_reach_the_network_through_features_and_embedding(microbatches):
    training = TrainingConfig(microbatches=microbatches)
    config = dataclasses.replace(CONFIG, loss=NOTHING, training=training)
    moved = {}
    for name, term in {"features": own_triplet, "embedding": uniformity}.items():
        learner = learner_of(config, Objective.from_config(config, {"own": (1.0, term)}))
        before = jax.tree.map(np.asarray, learner.create_train_state().params)
        state, _ = after(learner, [0])
        moved[name] = {
            part: not np.array_equal(get(before), get(state.params))
            for part, get in {
                "convolution": lambda params: params["backbone"]["conv1"]["kernel"],
                "neck": lambda params: params["bottleneck"]["norm"]["scale"],
            }.items()
        }
    assert moved == {
        "features": {"convolution": True, "neck": False},
        "embedding": {"convolution": True, "neck": True},
    }


@pytest.mark.slow
@pytest.mark.parametrize("microbatches", [1, 2])
def test_an_own_objective_trains_and_keeps_its_state(microbatches):
    config = dataclasses.replace(CONFIG, training=TrainingConfig(microbatches=microbatches))
    state, history = after(learner_of(config, NoisyTriplet()), [0, 0, 0])
    assert state.loss_state["seen"]["rows"] == 3 * BATCH
    assert np.any(state.loss_state["mean"])
    assert len({line["loss/noisy"] for line in history}) == 3
    assert {"loss/total", "loss/noisy", "loss/mean", "gradients/norm", "learning_rate"} == set(
        history[0]
    )


@pytest.mark.slow
def test_an_own_objective_on_eight_devices_is_that_of_one():
    _, one = after(learner_of(CONFIG, NoisyTriplet()), [0, 1])
    _, eight = after(learner_of(CONFIG, NoisyTriplet(), devices=8), [0, 1])
    for line, expected in zip(eight, one, strict=True):
        assert line == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("wrong", [own_triplet, NoisyTriplet])
def test_what_is_no_objective_is_refused(wrong):
    with pytest.raises(ValueError, match=r"lacks the methods.*Objective.from_config"):
        check_objective(wrong)


def test_a_terms_name_has_to_be_free_and_its_value_a_scalar():
    with pytest.raises(ValueError, match="'triplet' is taken"):
        Objective.from_config(CONFIG, {"triplet": (1.0, own_triplet)})
    rows = Objective.from_config(CONFIG, {"rows": (1.0, lambda features, *_: features[:, 0])})
    with pytest.raises(ValueError, match=r"'rows' returned an array of shape \(16,\)"):
        after(learner_of(CONFIG, rows), [0])


def still(backbone: str, **training) -> ExperimentConfig:
    """Weights stay as they are, so that only what is drawn changes from step to step."""
    return dataclasses.replace(
        CONFIG,
        model=ModelConfig(backbone=backbone),
        optimizer=OptimizerConfig(learning_rate=0.0),
        training=TrainingConfig(**training),
    )


@pytest.mark.slow
@pytest.mark.parametrize("microbatches", [1, 2])
def test_dropout_draws_anew_each_step_from_the_runs_seed(microbatches):
    _, history = after(learner_of(still("dropout_net", microbatches=microbatches)), [0, 0, 0])
    _, again = after(learner_of(still("dropout_net", microbatches=microbatches)), [0, 0, 0])
    _, other = after(learner_of(still("dropout_net", microbatches=microbatches, seed=1)), [0])
    _, without = after(learner_of(still("no_dropout_net", microbatches=microbatches)), [0, 0])
    assert history == again
    assert len({line["features/norm"] for line in [*history, *other]}) == 4
    assert len({line["features/norm"] for line in without}) == 1


@pytest.mark.slow
def test_dropout_does_nothing_at_test():
    images = jnp.asarray(batch(0)["image"])
    embeddings = []
    for backbone in ("dropout_net", "no_dropout_net"):
        learner = learner_of(still(backbone))
        state = learner.create_train_state()
        variables = without_classifier(state.params, state.model_state)
        embeddings += [learner.encode(variables, images) for _ in range(2)]
    for embedding in embeddings[1:]:
        np.testing.assert_array_equal(embedding, embeddings[0])


@pytest.mark.slow
def test_the_state_has_parameters_and_statistics_alone():
    state, _ = after(learner_of(still("dropout_net")), [0])
    leaves = jax.tree_util.tree_leaves_with_path(
        (state.params["backbone"], state.model_state["backbone"])
    )
    names = {jax.tree_util.keystr(path, simple=True, separator="/")[2:] for path, _ in leaves}
    convolutions = {f"{conv}/{part}" for conv in ("conv1", "conv2") for part in ("kernel", "bias")}
    assert names == convolutions | {f"norm/{part}" for part in ("scale", "bias", "mean", "var")}
    assert np.any(state.model_state["backbone"]["norm"]["mean"])


class KilledError(Exception):
    """Stands for a process that was killed."""


def interrupt_after(monkeypatch, step: int) -> None:
    save = loop._checkpoint_if_due

    def save_and_stop(run, state, done, ends):
        save(run, state, done, ends)
        if done == step:
            raise KilledError

    monkeypatch.setattr(loop, "_checkpoint_if_due", save_and_stop)


@pytest.fixture
def own_config(tiny_config) -> ExperimentConfig:
    return dataclasses.replace(tiny_config, model=ModelConfig(backbone="dropout_net", dropout=0.1))


@pytest.fixture
def one_device(tiny_config):
    return make_mesh(tiny_config.mesh, jax.devices()[:1])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["term", "objective"])
def test_a_run_with_own_parts_resumes_bit_identical(
    kind, own_config, one_device, tmp_path, monkeypatch
):
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    term = Objective.from_config(own_config, {"uniformity": (0.3, uniformity)})
    objective = {"term": term, "objective": NoisyTriplet()}[kind]
    expected = train(own_config, whole, one_device, progress=False, objective=objective)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KilledError):
            train(own_config, halved, one_device, progress=False, objective=objective)
    for other in (None, Objective.from_config(own_config, {"uniformity": (0.4, uniformity)})):
        with pytest.raises(ConfigError, match=r"(?s)another objective.*stored .*requested"):
            train(own_config, halved, one_device, progress=False, objective=other)
    own = []
    log = lambda step, values: own.append({"step": step, **values})  # noqa: E731
    found = train(own_config, halved, one_device, progress=False, objective=objective, log=log)
    assert own == [line for line in read_metrics(halved) if line["step"] > 2]
    assert int(found.step) == int(expected.step) > 2
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    logged = "loss/uniformity" if kind == "term" else "loss/noisy"
    lines = [line for line in read_metrics(halved) if logged in line]
    assert len(lines) == int(expected.step)

    images = batch(0)["image"]
    model = load_model(whole, one_device)
    embeddings = [model.encode(model.variables, jnp.asarray(images)) for _ in range(2)]
    np.testing.assert_array_equal(*embeddings)
    monkeypatch.delitem(BACKBONES, "dropout_net")
    with pytest.raises(UnknownBackboneError, match=r"'dropout_net'; did you mean .*Registered are"):
        load_model(whole, one_device)
