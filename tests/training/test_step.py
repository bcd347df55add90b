"""The step: the same on one device and on eight, compiled once, pure."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fashion_jax.config import (
    ExperimentConfig,
    ImageConfig,
    LossConfig,
    MeshConfig,
    ModelConfig,
    load_config,
)
from fashion_jax.parallel import mesh as mesh_module
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.learner import Learner, make_learner
from fashion_jax.training.step import ERASED_VALUE, erase
from fashion_jax.versions import enable_x64

SIZE = 32
IDENTITIES, PHOTOS, CLASSES = 16, 2, 32
STEPS_PER_EPOCH = 164  # of configs/street2shop_small.py on its photos
CONFIG = ExperimentConfig(image=ImageConfig(SIZE, SIZE), model=ModelConfig(backbone="tiny"))
RECIPE = load_config("street2shop_small")


def batch(step: int) -> dict[str, np.ndarray]:
    """A batch that depends on its number alone; photos look like their identity's."""
    rng = np.random.default_rng(step)
    size = IDENTITIES * PHOTOS
    identity = np.repeat(rng.permutation(CLASSES)[:IDENTITIES], PHOTOS).astype(np.int32)
    noise = rng.normal(0, 60, (size, SIZE, SIZE, 3))
    return {
        "image": np.clip(colours(identity) + noise, 0, 255).astype(np.uint8),
        "erased": rng.integers(0, 10, (size, 4)).astype(np.int32),
        "identity": identity,
        "domain": np.tile(np.array([0, 1], np.int8), size // 2),
        "valid": np.ones(size, np.bool_),
    }


def colours(identity: np.ndarray) -> np.ndarray:
    """A coarse pattern for each identity, as large as a photo."""
    cells = np.random.default_rng(99).uniform(0, 255, (CLASSES, 4, 4, 3))[identity]
    return cells.repeat(SIZE // 4, axis=1).repeat(SIZE // 4, axis=2)


def learner_on_one_device(config: ExperimentConfig) -> Learner:
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    return make_learner(config, CLASSES, STEPS_PER_EPOCH, mesh)


def run(learner: Learner, steps: int) -> list[dict[str, float]]:
    state = learner.create_train_state()
    history = []
    for step in range(steps):
        photos = global_batch(batch(step), learner.mesh)
        with jax.transfer_guard("disallow"):
            state, metrics = learner.train_step(state, photos)
        history.append({name: float(value) for name, value in metrics.items()})
    return history


def losses(config: ExperimentConfig, mesh_shape: MeshConfig, devices: int, dtype: str):
    mesh = make_mesh(mesh_shape, jax.devices()[:devices])
    model = dataclasses.replace(config.model, compute_dtype=dtype)
    learner = make_learner(
        dataclasses.replace(config, model=model, mesh=mesh_shape),
        CLASSES,
        STEPS_PER_EPOCH,
        mesh,
        jnp.dtype(dtype),
    )
    history = run(learner, 10)
    assert learner.train_step._cache_size() == 1, "the step was compiled again"
    return {
        name: np.array([line[name] for line in history])
        for name in history[0]
        if name.startswith("loss/")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "tolerance", "model"),
    [
        pytest.param("float32", 1e-4, RECIPE.model, marks=pytest.mark.exhaustive, id="recipe"),
        pytest.param("float32", 1e-4, CONFIG.model, id="float32"),
        pytest.param("float64", 1e-9, CONFIG.model, id="float64"),
    ],
)
def test_eight_devices_give_the_losses_of_one(dtype, tolerance, model, monkeypatch):
    """The first ten steps of the small recipe, whose rate rises from 1 % in its first step.

    Adam's first steps move every weight by the whole rate, whatever its gradient's size. At rates
    several times higher, and with random weights, float32 rounding that decides on a tiny
    gradient's sign drives the triplet loss apart by 2e-4 in ten steps; float64, with random
    weights, shows that nothing but rounding does.
    """
    monkeypatch.setattr(mesh_module, "_LEAST_DIVIDED", 64)
    rules = [(name, spec, 0) for name, spec, _ in mesh_module.SHARDING_RULES]
    monkeypatch.setattr(mesh_module, "SHARDING_RULES", rules)  # classifiers are divided wholly
    with enable_x64(dtype == "float64"):
        config = dataclasses.replace(
            CONFIG, model=model, optimizer=RECIPE.optimizer, loss=RECIPE.loss
        )
        one = losses(config, MeshConfig(1, 1), 1, dtype)
        assert set(one) == {"loss/identity", "loss/triplet", "loss/center", "loss/total"}
        for shape in (MeshConfig(4, 2), MeshConfig(8, 1, fsdp=True)):
            eight = losses(config, shape, 8, dtype)
            for name, values in one.items():
                np.testing.assert_allclose(eight[name], values, rtol=tolerance, err_msg=name)


def test_erase_fills_the_rectangle_only():
    images = jnp.zeros((2, 6, 5, 3))
    erased = np.asarray(erase(images, jnp.array([[1, 2, 3, 2], [0, 0, 0, 0]], jnp.int32)))
    expected = np.zeros((2, 6, 5, 3), np.float32)
    expected[0, 1:4, 2:4] = ERASED_VALUE
    np.testing.assert_array_equal(erased, expected)


@pytest.mark.slow
def test_bfloat16_computes_with_float32_state_and_losses():
    model = dataclasses.replace(CONFIG.model, compute_dtype="bfloat16")
    learner = learner_on_one_device(dataclasses.replace(CONFIG, model=model))
    state, metrics = learner.train_step(
        learner.create_train_state(), global_batch(batch(0), learner.mesh)
    )
    floats = [leaf for leaf in jax.tree.leaves(state) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    assert {leaf.dtype for leaf in floats} == {jnp.dtype("float32")}
    assert all(value.dtype == jnp.float32 for value in metrics.values())
    assert all(np.isfinite(float(value)) for value in metrics.values())


@pytest.mark.slow
def test_a_weight_of_zero_leaves_the_term_out():
    learner = learner_on_one_device(dataclasses.replace(CONFIG, loss=LossConfig(center_weight=0.0)))
    state, metrics = learner.train_step(
        learner.create_train_state(), global_batch(batch(0), learner.mesh)
    )
    assert "loss/center" not in metrics
    assert state.loss_state == {}
