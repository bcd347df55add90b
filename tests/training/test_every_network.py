"""One network of each kind of block trains in bfloat16, compiled once.

With its own widths, and as few blocks as there can be: depth changes nothing but the time to
compile. The other networks, of the same blocks, are built without any numbers.
"""

import dataclasses
import gc

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from fashion_jax.config import (
    ExperimentConfig,
    ImageConfig,
    MeshConfig,
    ModelConfig,
    OptimizerConfig,
)
from fashion_jax.models.backbones import BACKBONES
from fashion_jax.models.backbones.spec import BackboneSpec
from fashion_jax.parallel.hosts import global_batch
from fashion_jax.parallel.mesh import make_mesh
from fashion_jax.training.learner import make_learner
from tests.models.backbones.shallow import shallow

SIZES = {14: 28}  # side of a patch to that of a photo; 32 for whatever has none
CLASSES = 8
# What blocks of one kind may differ in.
SIZES_OF_A_VARIANT = {
    "ResNetVariant": {"blocks"},
    "OSNetVariant": {"widths"},
    "LiteVariant": {"stages"},
    "ViTVariant": {"patch", "width", "depth", "heads", "grid", "epsilon", "antialias", "offset"},
}
# A gate's two units may both be dead at the start.
MAY_BE_DEAD = "['fc1']['bias']"


def kind(spec: BackboneSpec) -> tuple[object, ...]:
    """Everything that tells a family's blocks apart, but for their sizes."""
    name = type(spec.variant).__name__
    return name, *(
        bool(value) if field.name == "registers" else value
        for field in dataclasses.fields(spec.variant)
        if field.name not in SIZES_OF_A_VARIANT[name]
        for value in [getattr(spec.variant, field.name)]
    )


# Networks whose blocks another has, beside its own with instance norm.
HELD_BY_ANOTHER = {
    "resnet18": "resnet18_ibn_a",
    "resnet50": "resnet50_ibn_a",
    "osnet_x1_0": "osnet_ibn_x1_0",
}
KINDS = {kind(spec): name for name, spec in reversed(BACKBONES.items())}
ONE_OF_EACH = set(KINDS.values()) - HELD_BY_ANOTHER.keys()


def batch(step: int, side: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(step)
    return {
        "image": rng.integers(0, 256, (8, side, side, 3), np.uint8),
        "erased": np.zeros((8, 4), np.int32),
        "identity": np.repeat(rng.permutation(CLASSES)[:4], 2).astype(np.int32),
        "domain": np.tile(np.array([0, 1], np.int8), 4),
        "valid": np.ones(8, np.bool_),
    }


def test_kinds_are_few_and_cover_all_families():
    assert (len(KINDS), len(ONE_OF_EACH)) == (15, 12)
    assert HELD_BY_ANOTHER.keys() <= set(KINDS.values())
    assert set(HELD_BY_ANOTHER.values()) <= ONE_OF_EACH
    assert {kind(BACKBONES[name])[0] for name in ONE_OF_EACH} == SIZES_OF_A_VARIANT.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BACKBONES.keys() - ONE_OF_EACH))
def test_a_network_of_the_same_blocks_has_maps_of_its_width(name):
    spec = shallow(BACKBONES[name])
    side = SIZES.get(getattr(spec.variant, "patch", 0), 32)
    network = spec.abstract()
    photos = jnp.zeros((2, side, side, 3))
    maps = nnx.eval_shape(lambda network: network(photos, True), network)
    assert maps.positions.shape[::3] == (2, network.width)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_trains_in_bfloat16(name, monkeypatch):
    """Two steps change every parameter, and leave nothing behind: programs would fill gigabytes."""
    try:
        _assert_trains(name, monkeypatch)
    finally:
        jax.clear_caches()
        gc.collect()


def _assert_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = shallow(BACKBONES[name])
    monkeypatch.setitem(BACKBONES, name, spec)
    side = SIZES.get(getattr(spec.variant, "patch", 0), 32)
    config = ExperimentConfig(
        image=ImageConfig(side, side),
        model=ModelConfig(backbone=name, compute_dtype="bfloat16"),
        optimizer=OptimizerConfig(name="sgd"),
    )
    # Of one device: several, which tests/parallel has, take half again as long to compile.
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    learner = make_learner(config, CLASSES, 10, mesh)
    state = learner.create_train_state()
    before = jax.tree.map(np.asarray, state.params)
    for step in range(2):
        state, metrics = learner.train_step(state, global_batch(batch(step, side), mesh))
        assert all(np.isfinite(value) for value in metrics.values())
    assert learner.train_step._cache_size() == 1, "the step was compiled again"
    changed = jax.tree.map(lambda old, new: not np.array_equal(old, new), before, state.params)
    unchanged = [
        jax.tree_util.keystr(path)
        for path, moved in jax.tree_util.tree_leaves_with_path(changed)
        if not moved and not jax.tree_util.keystr(path).endswith(MAY_BE_DEAD)
    ]
    assert unchanged == []
    assert {leaf.dtype for leaf in jax.tree.leaves(state.params)} == {jnp.dtype(jnp.float32)}
