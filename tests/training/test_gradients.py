"""Microbatches, moving averages, and what every option of the step keeps true."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import (
    ClassifierConfig,
    ConfigError,
    DataConfig,
    ExperimentConfig,
    ImageConfig,
    LossConfig,
    MeshConfig,
    MiningConfig,
    ModelConfig,
    TrainingConfig,
)
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training import ema
from fashion_jax.training.learner import Learner, make_learner
from fashion_jax.versions import enable_x64
from tests.models.backbones.tiny import TINY

SIZE, CLASSES, BATCH = 32, 10, 16
CONFIG = ExperimentConfig(
    data=DataConfig(identities_per_batch=8, photos_per_identity=2),
    image=ImageConfig(SIZE, SIZE),
    model=ModelConfig(backbone="tiny", compute_dtype="float64", ghost_batch_size=4),
    loss=LossConfig(centroid_triplet_weight=1.0),
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", TINY)


def batch(step: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "image": rng.integers(0, 256, (BATCH, SIZE, SIZE, 3), np.uint8),
        "erased": rng.integers(0, 10, (BATCH, 4)).astype(np.int32),
        "identity": np.repeat(rng.permutation(CLASSES)[:8], 2).astype(np.int32),
        "domain": np.tile(np.array([0, 1], np.int8), BATCH // 2),
        "valid": np.ones(BATCH, np.bool_),
    }


def learner_of(config: ExperimentConfig, devices: int = 1, dtype: str = "float64") -> Learner:
    mesh = make_mesh(config.mesh, jax.devices()[:devices])
    return make_learner(config, CLASSES, 10, mesh, jnp.dtype(dtype))


def after(config: ExperimentConfig, steps: int = 1, devices: int = 1, order=slice(None)):
    learner = learner_of(config, devices)
    state, history = learner.create_train_state(), []
    for step in range(steps):
        photos = {name: values[order] for name, values in batch(step).items()}
        state, metrics = learner.train_step(state, global_batch(photos, learner.mesh))
        history.append({name: float(value) for name, value in metrics.items()})
    return jax.tree.map(np.asarray, state), history


def in_microbatches(slices: int, **changes) -> ExperimentConfig:
    return dataclasses.replace(CONFIG, training=TrainingConfig(microbatches=slices), **changes)


def assert_near(found, expected, tolerance=1e-9):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance),
        found,
        expected,
    )


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 4])
def test_microbatches_give_the_gradient_of_the_whole_batch(devices):
    """With BatchNorm in groups of a microbatch, whose statistics are its own either way.

    The losses compare photos of different microbatches: they would differ one by one.
    Identities 0 and 4 are the first microbatch, 1 and 5 the second.
    """
    order = np.arange(BATCH).reshape(2, 4, 2).swapaxes(0, 1).reshape(-1)
    assert order[:4].tolist() == [0, 1, 8, 9]
    with enable_x64(True):
        whole, expected = after(CONFIG, order=order)
        sliced, found = after(in_microbatches(4), devices=devices)
    assert_near(found, expected)
    assert_near(sliced.model_state, whole.model_state)
    assert_near(sliced.loss_state, whole.loss_state)
    # Adam's first step: every weight by the rate, in the direction of its gradient's sign.
    assert_near(sliced.optimizer_state, whole.optimizer_state)
    assert_near(sliced.params, whole.params, 1e-7)


@pytest.mark.slow
def test_microbatches_do_drop_out():
    model = dataclasses.replace(CONFIG.model, dropout=0.5)
    with enable_x64(True):
        _, (metrics,) = after(in_microbatches(2, model=model))
        _, (again,) = after(in_microbatches(2, model=model))
    assert metrics == again
    assert all(np.isfinite(value) for value in metrics.values())


def test_average_by_hand():
    average = ema.init({"w": jnp.zeros(2)}, {"m": jnp.zeros(1)})
    new = {"w": jnp.ones(2)}, {"m": jnp.full(1, 3.0)}
    early = ema.update(average, *new, jnp.array(0), 0.9)
    np.testing.assert_allclose(early["params"]["w"], 0.9, rtol=1e-6)  # decay of 1 / 10
    late = ema.update(average, *new, jnp.array(1000), 0.9)
    np.testing.assert_allclose(late["params"]["w"], 0.1, rtol=1e-6)
    np.testing.assert_allclose(late["model_state"]["m"], 0.3, rtol=1e-6)


@pytest.mark.slow
def test_average_follows_the_weights_and_embeds():
    config = dataclasses.replace(CONFIG, training=TrainingConfig(ema_decay=0.5))
    with enable_x64(True):
        plain, _ = after(CONFIG, 3)
        state, _ = after(config, 3)
        first = jax.tree.map(np.asarray, learner_of(config).create_train_state())
        steps = [after(CONFIG, steps)[0] for steps in (1, 2, 3)]
    assert_near(state.params, plain.params)
    expected = first.params["classifier"]["kernel"]
    for number, step in enumerate(steps):
        decay = min(0.5, (1 + number) / (10 + number))
        expected = decay * expected + (1 - decay) * step.params["classifier"]["kernel"]
    np.testing.assert_allclose(state.average["params"]["classifier"]["kernel"], expected, rtol=1e-6)
    assert state.embedding_params is state.average["params"]
    assert plain.embedding_params is plain.params


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"mining": MiningConfig(memory_batches=2, memory_start_step=1)},
        {"mining": MiningConfig(anchors="street", positives="other_domain")},
        {"classifier": ClassifierConfig(pad_classes_to_multiple=2, sample_rate=0.9)},
        {
            "classifier": ClassifierConfig(sub_centers=2),
            "loss": LossConfig(identity_weight=0.0, arcface_weight=1.0),
        },
        {"loss": LossConfig(circle_weight=1.0, quadruplet_weight=1.0, proxy_anchor_weight=1.0)},
    ],
    ids=["memory", "domains", "sampled", "sub_centers", "many_terms"],
)
def test_options_train_on_eight_devices_as_on_one(changes):
    config = dataclasses.replace(CONFIG, **changes)
    divided = dataclasses.replace(config, mesh=MeshConfig(4, 2))
    with enable_x64(True):
        state, one = after(config, 3)
        same, eight = after(divided, 3, devices=8)
    assert_near(eight, one, 1e-7)
    assert len({line["loss/total"] for line in one}) == 3
    assert_near(same.loss_state, state.loss_state, 1e-6)


def test_columns_that_devices_cannot_share_are_refused():
    config = dataclasses.replace(CONFIG, mesh=MeshConfig(1, 4))
    with pytest.raises(ConfigError, match=r"10 columns.*classifier.pad_classes_to_multiple.*of 4"):
        learner_of(config, 4)


def test_a_sample_without_room_for_the_batch_is_refused():
    config = dataclasses.replace(CONFIG, classifier=ClassifierConfig(sample_rate=0.5))
    with pytest.raises(ConfigError, match=r"samples 5 identities.*may have 8"):
        learner_of(config)
