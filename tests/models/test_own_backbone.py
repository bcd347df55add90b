"""A registered backbone, and random streams that leave no state behind."""

from importlib import metadata

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import ModelConfig
from fashion_jax.errors import FashionJaxError
from fashion_jax.models.backbones import (
    BACKBONES,
    Backbone,
    FeatureMap,
    UnknownBackboneError,
    backbone_spec,
    register_backbone,
)
from fashion_jax.models.embedder import Embedder
from fashion_jax.models.pure import split_model
from tests.models.backbones.tiny import TINY

WIDTH = 6
IMAGES = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 3)), jnp.float32)


class KeepsItsRngs(Backbone):
    """Draws from the layer factory's own streams, which further layers are drawn from."""

    def __init__(self, layers, options):
        self.width = WIDTH
        self.conv = layers.conv(3, WIDTH, 1)
        self.rngs = layers.rngs

    def __call__(self, images, train):
        maps = self.conv(images)
        noise = jax.random.normal(self.rngs.noise(), maps.shape)
        return FeatureMap(maps + noise if train else maps)


class Counts(Backbone):
    """Keeps a variable of another type."""

    def __init__(self, layers, options):
        self.width = WIDTH
        self.conv = layers.conv(3, WIDTH, 1)
        self.calls = nnx.Cache(jnp.zeros(()))


@pytest.fixture(autouse=True)
def registered():
    own = {"keeps_its_rngs": KeepsItsRngs, "counts": Counts}
    for name, backbone in own.items():
        register_backbone(name, backbone)
    yield
    for name in own:
        BACKBONES.pop(name, None)


def embedder(name: str = "keeps_its_rngs") -> tuple[Embedder, nnx.Rngs]:
    rngs = nnx.Rngs(1, params=0)
    return Embedder(ModelConfig(backbone=name), None, rngs), rngs


def test_a_name_of_the_package_stays_its_own():
    with pytest.raises(ValueError, match="'resnet50' is a backbone of fashion_jax"):
        register_backbone("resnet50", KeepsItsRngs)


def test_a_name_can_be_registered_anew_and_takes_a_spec():
    register_backbone("counts", TINY)
    assert backbone_spec("counts") is TINY


def test_an_entry_point_of_another_package_is_found_by_its_name(monkeypatch):
    def entry_points(group, name):
        found = [metadata.EntryPoint("elsewhere", f"{__name__}:KeepsItsRngs", group)]
        return found if (group, name) == ("fashion_jax.backbones", "elsewhere") else []

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    assert isinstance(embedder("elsewhere")[0].backbone, KeepsItsRngs)
    with pytest.raises(UnknownBackboneError, match=r"entry points fashion_jax\.backbones"):
        backbone_spec("somewhere")


def test_an_unknown_name_says_what_to_import():
    with pytest.raises(
        UnknownBackboneError, match=r"mean 'counts'.*keeps_its_rngs.*import the mod"
    ):
        backbone_spec("count")


class WithoutWidth(Backbone):
    """Forgets what the next layer has to know."""

    def __init__(self, layers, options):
        self.conv = layers.conv(3, WIDTH, 1)

    def __call__(self, images, train):
        return FeatureMap(self.conv(images))


class WrongWidth(WithoutWidth):
    """Says more than it has."""

    width = WIDTH + 1


def test_a_missing_or_wrong_width_is_named():
    register_backbone("counts", WithoutWidth)
    with pytest.raises(FashionJaxError, match="WithoutWidth has no attribute `width`"):
        embedder("counts")
    register_backbone("counts", WrongWidth)
    with pytest.raises(FashionJaxError, match="of WrongWidth is 7, but its maps have 6 features"):
        embedder("counts")[0](IMAGES, False)


def test_streams_are_no_state_and_stay_usable_for_further_layers():
    model, rngs = embedder()
    kinds = {type(variable) for _, variable in nnx.to_flat_state(nnx.state(model))}
    assert kinds == {nnx.Param, nnx.BatchStat}
    assert rngs.params().shape == ()


@pytest.mark.slow
def test_a_forward_pass_draws_from_its_key_alone():
    model, _ = embedder()
    first, second = jax.random.split(jax.random.key(0))
    features = [model(IMAGES, True, key).features for key in (first, second, first)]
    np.testing.assert_array_equal(features[0], features[2])
    assert np.abs(features[0] - features[1]).max() > 0.01
    assert {type(variable) for _, variable in nnx.to_flat_state(nnx.state(model))} == {
        nnx.Param,
        nnx.BatchStat,
    }


def test_training_needs_a_key_and_test_none():
    model, _ = embedder()
    with pytest.raises(ValueError, match="need a key"):
        model(IMAGES, True)
    np.testing.assert_array_equal(model(IMAGES, False).neck, model(IMAGES, False).neck)


def test_variables_of_another_type_are_refused_by_name():
    model, _ = embedder("counts")
    with pytest.raises(FashionJaxError, match=r"backbone.calls \(Cache\).*nnx.BatchStat"):
        split_model(model)
