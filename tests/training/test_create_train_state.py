import dataclasses

import jax
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ClassifierConfig, ExperimentConfig, MeshConfig, ModelConfig
from fashion_jax.losses import Objective
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.embedder import CLASSIFIER_STD, Embedder
from fashion_jax.models.pure import split_model
from fashion_jax.optim.optimizer import make_optimizer
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.state import abstract_train_state, create_train_state
from tests.models.backbones.tiny import TINY

CONFIG = ExperimentConfig(model=ModelConfig(backbone="tiny", classifier_bias=True))
DIVIDED = ClassifierConfig(pad_classes_to_multiple=4)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(BACKBONES, "tiny", TINY)


def parts(config: ExperimentConfig) -> tuple:
    optimizer = make_optimizer(config.optimizer, 5, config.training.epochs)
    return config, 10, Objective.from_config(config), optimizer


@pytest.mark.slow
def test_is_the_embedder_of_the_seed():
    """As the embedder draws itself, classifier included."""
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    state = create_train_state(*parts(CONFIG), mesh)
    _, params, model_state = split_model(Embedder(CONFIG.model, 10, nnx.Rngs(params=0)))
    jax.tree.map(np.testing.assert_array_equal, state.params, params)
    jax.tree.map(np.testing.assert_array_equal, state.model_state, model_state)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", [ClassifierConfig(), DIVIDED], ids=["whole", "divided"])
def test_is_the_same_on_any_devices_and_lies_as_the_abstract_one_says(classifier):
    chosen = parts(dataclasses.replace(CONFIG, classifier=classifier))
    one = create_train_state(*chosen, make_mesh(MeshConfig(1, 1), jax.devices()[:1]))
    mesh = make_mesh(MeshConfig(2, 4), jax.devices()[:8])
    many, abstract = create_train_state(*chosen, mesh), abstract_train_state(*chosen, mesh)
    jax.tree.map(np.testing.assert_array_equal, one, many)
    for made, expected in zip(jax.tree.leaves(many), jax.tree.leaves(abstract), strict=True):
        assert (made.shape, made.dtype) == (expected.shape, expected.dtype)
        assert made.sharding.is_equivalent_to(expected.sharding, made.ndim)


@pytest.mark.slow
def test_a_divided_classifier_is_drawn_in_parts():
    config = dataclasses.replace(CONFIG, classifier=DIVIDED)
    mesh = make_mesh(MeshConfig(2, 4), jax.devices()[:8])
    state = create_train_state(*parts(config), mesh)
    kernel = state.params["classifier"]["kernel"]
    assert kernel.shape == (8, 12)
    assert {shard.data.shape for shard in kernel.addressable_shards} == {(8, 3)}
    centers = state.loss_state["centers"]
    assert {shard.data.shape for shard in centers.addressable_shards} == {(3, 8)}
    np.testing.assert_allclose(np.std(kernel), CLASSIFIER_STD, rtol=0.2)
